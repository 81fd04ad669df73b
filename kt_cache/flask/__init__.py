"""Flask on kt-cache: `KTCache` for Flask-Caching, or wherever cachelib is expected."""

import kt_cache.flask.texts  # noqa: F401 - registers what msgpack keeps
from kt_cache.flask.cache import KTCache

__all__ = ["KTCache"]
