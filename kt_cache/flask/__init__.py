"""Flask on kt-cache: `KTCache` for Flask-Caching, or wherever cachelib is expected.

`KTCache` is imported when it is asked for: sessions and ``flask kt`` work where Flask-Caching is not installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kt_cache.extras import needs

with needs("kt_cache.flask", "flask"):
    import flask  # noqa: F401 - the first to be missed

    import kt_cache.flask.texts  # noqa: F401 - registers what msgpack keeps

if TYPE_CHECKING:
    from kt_cache.flask.cache import KTCache

__all__ = ["KTCache"]


def __getattr__(name: str) -> Any:
    if name != "KTCache":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with needs("kt_cache.flask.KTCache", "flask"):
        from kt_cache.flask.cache import KTCache
    return KTCache
