"""The constants of the legacy module: those that the official package has no more, and the names of the others."""

from __future__ import annotations

from typing import Final

SERIALIZER_NONE: Final = 0
SERIALIZER_PYTHON: Final = 1
SERIALIZER_USER: Final = 3

GONE: Final[dict[str, int]] = {
    "POLICY_CONSISTENCY_ONE": 0,
    "POLICY_CONSISTENCY_ALL": 1,
    "SCAN_PRIORITY_AUTO": 0,
    "SCAN_PRIORITY_LOW": 1,
    "SCAN_PRIORITY_MEDIUM": 2,
    "SCAN_PRIORITY_HIGH": 3,
    "SCAN_STATUS_UNDEF": 0,
    "SCAN_STATUS_INPROGRESS": 1,
    "SCAN_STATUS_ABORTED": 2,
    "SCAN_STATUS_COMPLETED": 3,
    "SERIALIZER_NONE": SERIALIZER_NONE,
    "SERIALIZER_PYTHON": SERIALIZER_PYTHON,
    "SERIALIZER_USER": SERIALIZER_USER,
}

KEPT: Final = tuple(
    f"{group}_{name}"
    for group, names in {
        "OPERATOR": "APPEND INCR PREPEND READ TOUCH WRITE",
        "POLICY": "COMMIT_LEVEL_ALL COMMIT_LEVEL_MASTER EXISTS_CREATE EXISTS_CREATE_OR_REPLACE EXISTS_IGNORE"
        " EXISTS_REPLACE EXISTS_UPDATE GEN_EQ GEN_GT GEN_IGNORE KEY_DIGEST KEY_SEND REPLICA_ANY REPLICA_MASTER"
        " RETRY_NONE RETRY_ONCE",
        "JOB": "SCAN QUERY STATUS_UNDEF STATUS_INPROGRESS STATUS_COMPLETED",
        "UDF_TYPE": "LUA",
        "INDEX": "STRING NUMERIC TYPE_LIST TYPE_MAPKEYS TYPE_MAPVALUES",
        "LOG_LEVEL": "TRACE DEBUG INFO WARN ERROR OFF",
        "PRIV": "READ READ_WRITE READ_WRITE_UDF SYS_ADMIN USER_ADMIN",
    }.items()
    for name in names.split()
)
"""What the official package has under the same name."""
