"""What the build of the documentation does not warn of."""

import logging


def _is_news(record: logging.LogRecord) -> bool:
    # kt_core.aerospike makes its __all__ from the tables of the names that it has; the reader of sources cannot follow.
    return "kt_core.aerospike.__all__" not in record.getMessage()


def on_startup(**_: object) -> None:
    """Leave out what is known."""
    for name in ("mkdocs.plugins.griffe", "griffe"):
        logging.getLogger(name).addFilter(_is_news)
