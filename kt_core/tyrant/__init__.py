"""Clients of Tokyo Tyrant servers, ttserver and the bundled one alike."""

from kt_core.tyrant.aclient import AsyncTokyoTyrant
from kt_core.tyrant.client import TokyoTyrant
from kt_core.tyrant.search import QueryBuilder
from kt_core.tyrant.status import Status
from kt_core.tyrant.table import TT_TABLE

__all__ = ["TT_TABLE", "AsyncTokyoTyrant", "QueryBuilder", "Status", "TokyoTyrant"]
