"""Clients of Kyoto Tycoon servers, ktserver and the bundled one alike."""

from kt_core.kyoto.aclient import AsyncKyotoTycoon
from kt_core.kyoto.calls import Details, Record
from kt_core.kyoto.client import KyotoTycoon
from kt_core.kyoto.cursor import AsyncCursor, Cursor
from kt_core.kyoto.status import DatabaseReport, Report, Status
from kt_core.serializers import KT_BINARY, KT_JSON, KT_MSGPACK, KT_NONE, KT_PICKLE

__all__ = [
    "KT_BINARY",
    "KT_JSON",
    "KT_MSGPACK",
    "KT_NONE",
    "KT_PICKLE",
    "AsyncCursor",
    "AsyncKyotoTycoon",
    "Cursor",
    "DatabaseReport",
    "Details",
    "KyotoTycoon",
    "Record",
    "Report",
    "Status",
]
