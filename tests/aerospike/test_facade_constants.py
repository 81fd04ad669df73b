"""Every group of constants has values that work, in the calls that they are for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kt_core import aerospike
from tests.aerospike.real import REAL, OnARealServer

LUA = """
function add(record, number)
    record["v"] = record["v"] + number
    aerospike:update(record)
    return record["v"]
end
"""


@pytest.fixture
def module(connect: Callable[..., Any], tmp_path: Path) -> Iterator[str]:
    copies = tmp_path / "copies"  # where the client puts one of each that it sends
    copies.mkdir()
    client = connect(lua={"user_path": str(copies)})
    path = tmp_path / "kt_facade.lua"
    path.write_text(LUA)
    client.udf_put(str(path), aerospike.UDF_TYPE_LUA)
    yield "kt_facade"
    client.udf_remove(path.name)


class TestOperators:
    def test_all_of_them_in_one_call(self, client: Any, key: Any) -> None:
        client.put(key, {"i": 1, "s": "b"})
        _, meta, bins = client.operate(
            key,
            [
                {"op": aerospike.OPERATOR_WRITE, "bin": "w", "val": [1]},
                {"op": aerospike.OPERATOR_INCR, "bin": "i", "val": 41},
                {"op": aerospike.OPERATOR_APPEND, "bin": "s", "val": "c"},
                {"op": aerospike.OPERATOR_PREPEND, "bin": "s", "val": "a"},
                {"op": aerospike.OPERATOR_TOUCH, "val": 100},
                {"op": aerospike.OPERATOR_READ, "bin": "w"},
                {"op": aerospike.OPERATOR_READ, "bin": "i"},
                {"op": aerospike.OPERATOR_READ, "bin": "s"},
            ],
        )
        assert bins == {"w": [1], "i": 42, "s": "abc"}
        assert 98 <= meta["ttl"] <= 100


class TestPolicies:
    def test_exists(self, client: Any, key: Any) -> None:
        def put(bins: Any, exists: int) -> None:
            client.put(key, bins, policy={"exists": exists})

        for exists in (aerospike.POLICY_EXISTS_UPDATE, aerospike.POLICY_EXISTS_REPLACE):
            with pytest.raises(aerospike.exception.RecordNotFound):
                put({"a": 1}, exists)
        put({"a": 1}, aerospike.POLICY_EXISTS_CREATE)
        with pytest.raises(aerospike.exception.RecordExistsError):
            put({"a": 1}, aerospike.POLICY_EXISTS_CREATE)
        put({"b": 2}, aerospike.POLICY_EXISTS_UPDATE)
        put({"c": 3}, aerospike.POLICY_EXISTS_IGNORE)
        assert client.get(key)[2] == {"a": 1, "b": 2, "c": 3}
        put({"d": 4}, aerospike.POLICY_EXISTS_REPLACE)
        assert client.get(key)[2] == {"d": 4}
        put({"e": 5}, aerospike.POLICY_EXISTS_CREATE_OR_REPLACE)
        assert client.get(key)[2] == {"e": 5}

    def test_gen(self, client: Any, key: Any) -> None:
        client.put(key, {"v": 1})
        client.put(key, {"v": 2}, {"gen": 1}, {"gen": aerospike.POLICY_GEN_EQ})
        client.put(key, {"v": 3}, {"gen": 9}, {"gen": aerospike.POLICY_GEN_IGNORE})
        client.put(key, {"v": 4}, {"gen": 9}, {"gen": aerospike.POLICY_GEN_GT})
        for gen in (aerospike.POLICY_GEN_EQ, aerospike.POLICY_GEN_GT):
            with pytest.raises(aerospike.exception.RecordGenerationError):
                client.put(key, {"v": 5}, {"gen": 1}, {"gen": gen})
        assert client.get(key)[2] == {"v": 4}

    def test_key(self, client: Any, key: Any) -> None:
        def stored() -> Any:
            return [found[0][2] for found in client.query(*key[:2]).results() if found[0][3] == digest]

        digest = client.get_key_digest(*key)
        client.put(key, {"v": 1}, policy={"key": aerospike.POLICY_KEY_DIGEST})
        assert stored() == [None]
        client.put(key, {"v": 1}, policy={"key": aerospike.POLICY_KEY_SEND})
        assert stored() == [key[2]]

    def test_those_that_only_a_cluster_can_tell_apart(self, client: Any, key: Any) -> None:
        for commit_level in (aerospike.POLICY_COMMIT_LEVEL_ALL, aerospike.POLICY_COMMIT_LEVEL_MASTER):
            client.put(key, {"v": 1}, policy={"commit_level": commit_level})
        for consistency in (aerospike.POLICY_CONSISTENCY_ONE, aerospike.POLICY_CONSISTENCY_ALL):
            assert client.get(key, {"consistency_level": consistency})[2] == {"v": 1}
        for replica in (aerospike.POLICY_REPLICA_MASTER, aerospike.POLICY_REPLICA_ANY):
            assert client.get(key, {"replica": replica})[2] == {"v": 1}
        for retry in (aerospike.POLICY_RETRY_NONE, aerospike.POLICY_RETRY_ONCE):
            assert client.get(key, {"retry": retry})[2] == {"v": 1}

    def test_retries_are_what_they_say(self) -> None:
        assert (aerospike.POLICY_RETRY_NONE, aerospike.POLICY_RETRY_ONCE) == (0, 1)

    def test_a_policy_that_there_is_not(self, client: Any, key: Any) -> None:
        with pytest.raises(aerospike.exception.ParamError, match="tiemout"):
            client.get(key, {"tiemout": 3})


class TestScans:
    def test_priorities_are_taken_and_told_to_be_gone(self, client: Any, key: Any) -> None:
        client.put(key, {"v": 1})
        priorities = [getattr(aerospike, f"SCAN_PRIORITY_{name}") for name in ("AUTO", "LOW", "MEDIUM", "HIGH")]
        assert priorities == [0, 1, 2, 3]
        for priority in priorities:
            found: list[Any] = []
            with pytest.warns(UserWarning, match="priority"):
                client.scan(*key[:2]).foreach(found.append, {}, {"priority": priority, "concurrent": True})
            assert {"v": 1} in [bins for _, _, bins in found]

    def test_status_of_a_scan(self, client: Any) -> None:
        """Servers say of a job that they do not know that it is done."""
        assert client.scan_info(4711) == {
            "progress_pct": 0,
            "records_scanned": 0,
            "status": aerospike.SCAN_STATUS_COMPLETED,
        }
        status = [getattr(aerospike, f"SCAN_STATUS_{name}") for name in ("UNDEF", "INPROGRESS", "ABORTED", "COMPLETED")]
        assert status == [0, 1, 2, 3]


class TestJobs:
    @pytest.mark.parametrize("module", ["JOB_SCAN", "JOB_QUERY"])
    def test_status_of_a_job(self, module: str, client: Any) -> None:
        assert client.job_info(4711, getattr(aerospike, module))["status"] == aerospike.JOB_STATUS_COMPLETED
        assert (aerospike.JOB_STATUS_UNDEF, aerospike.JOB_STATUS_INPROGRESS) == (0, 1)


class TestFunctions:
    @pytest.mark.usefixtures("module")
    def test_lua_is_registered(self, client: Any) -> None:
        found = {udf["name"]: udf["type"] for udf in client.udf_list()}
        assert found["kt_facade.lua"] == aerospike.UDF_TYPE_LUA
        assert client.udf_get("kt_facade.lua") == LUA


class TestIndexes:
    @pytest.mark.parametrize(
        ("method", "arguments"),
        [
            ("index_string_create", ()),
            ("index_integer_create", ()),
            ("index_geo2dsphere_create", ()),
            ("index_list_create", ("INDEX_STRING",)),
            ("index_map_keys_create", ("INDEX_STRING",)),
            ("index_map_values_create", ("INDEX_NUMERIC",)),
        ],
    )
    def test_they_are_made_and_removed(self, method: str, arguments: Any, client: Any, key: Any) -> None:
        name = f"kt_{method[6:20]}"
        kinds = [getattr(aerospike, kind) for kind in arguments]
        assert getattr(client, method)(*key[:2], "v", *kinds, name) == 0
        assert client.index_remove(key[0], name) == 0

    def test_kinds_of_collections(self) -> None:
        kinds = (aerospike.INDEX_TYPE_LIST, aerospike.INDEX_TYPE_MAPKEYS, aerospike.INDEX_TYPE_MAPVALUES)
        assert kinds == (1, 2, 3)


class TestLogLevels:
    def test_their_order(self) -> None:
        names = ("OFF", "ERROR", "WARN", "INFO", "DEBUG", "TRACE")
        assert [getattr(aerospike, f"LOG_LEVEL_{name}") for name in names] == [-1, 0, 1, 2, 3, 4]


class TestPrivileges:
    def test_they_reach_the_server(self, client: Any) -> None:
        names = ("READ", "READ_WRITE", "READ_WRITE_UDF", "SYS_ADMIN", "USER_ADMIN")
        for name in names:
            with pytest.raises(aerospike.exception.SecurityNotSupported):  # the servers of these tests have no roles
                client.admin_create_role("role", [{"code": getattr(aerospike, f"PRIV_{name}")}])


if REAL:

    class TestOnAServer(OnARealServer):
        def test_lua_runs(self, module: str, client: Any, key: Any) -> None:
            client.put(key, {"v": 1})
            assert client.apply(key, module, "add", [41]) == 42
            assert client.get(key)[2] == {"v": 42}

        def test_lua_runs_on_a_set(self, module: str, client: Any, key: Any) -> None:
            client.put(key, {"v": 1})
            job = client.scan_apply(*key[:2], module, "add", [41], options={"concurrent": True})
            while client.job_info(job, aerospike.JOB_SCAN)["status"] != aerospike.JOB_STATUS_COMPLETED:
                pass
            assert client.scan_info(job)["status"] == aerospike.SCAN_STATUS_COMPLETED
            assert client.get(key)[2] == {"v": 42}

        def test_indexes_are_used(self, client: Any, key: Any) -> None:
            client.put(key, {"s": "kt", "i": 4711, "l": ["kt"], "m": {"kt": 4711}})
            equals, contains = aerospike.predicates.equals, aerospike.predicates.contains
            indexes = [
                ("index_string_create", "s", (), equals("s", "kt")),
                ("index_integer_create", "i", (), equals("i", 4711)),
                (
                    "index_list_create",
                    "l",
                    (aerospike.INDEX_STRING,),
                    contains("l", aerospike.INDEX_TYPE_LIST, "kt"),
                ),
                (
                    "index_map_keys_create",
                    "m",
                    (aerospike.INDEX_STRING,),
                    contains("m", aerospike.INDEX_TYPE_MAPKEYS, "kt"),
                ),
                (
                    "index_map_values_create",
                    "m",
                    (aerospike.INDEX_NUMERIC,),
                    contains("m", aerospike.INDEX_TYPE_MAPVALUES, 4711),
                ),
            ]
            for method, name, kinds, predicate in indexes:
                index = f"kt_used_{method[6:20]}"
                getattr(client, method)(*key[:2], name, *kinds, index)
                try:
                    found = client.query(*key[:2]).where(predicate).results()
                    assert [bins["i"] for _, _, bins in found] == [4711], method
                finally:
                    client.index_remove(key[0], index)
