"""What servers are asked beside records: modules, indexes, jobs, and about themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.aerospike.calling import code, connect, names
from tests.fix_aerospike import Place

aerospike = pytest.importorskip("aerospike")


def test_modules_are_kept(aerospike_place: Place, tmp_path: Path) -> None:
    copies = tmp_path / "copies"  # the client keeps one of what it sends
    copies.mkdir()
    native = connect(list(aerospike_place.hosts), lua={"user_path": str(copies)})
    module = tmp_path / f"{next(names)}.lua"
    module.write_text("function f(record) return 1 end")
    native.udf_put(str(module), aerospike.UDF_TYPE_LUA)
    try:
        assert module.name in [each["name"] for each in native.udf_list()]
        assert native.udf_get(module.name) == module.read_text()
    finally:
        native.udf_remove(module.name)
    assert module.name not in [each["name"] for each in native.udf_list()]
    assert code(native.udf_get, module.name) == 100
    assert code(native.udf_remove, module.name) == 0


def test_indexes_are_defined(native: Any, aerospike_place: Place) -> None:
    name = next(names)
    numeric = (aerospike_place.namespace, "indexed", "v", aerospike.INDEX_NUMERIC, name)
    text = (aerospike_place.namespace, "indexed", "w", aerospike.INDEX_STRING, name)
    try:
        assert code(native.index_single_value_create, *numeric) == 0
        assert code(native.index_single_value_create, *text) == 200
    finally:
        assert code(native.index_remove, aerospike_place.namespace, name) == 0
    assert code(native.index_remove, aerospike_place.namespace, name) == 0


def test_unknown_jobs_are_done(native: Any) -> None:
    assert native.job_info(123, aerospike.JOB_QUERY)["status"] == aerospike.JOB_STATUS_COMPLETED


def test_a_server_tells_about_itself(native: Any, aerospike_place: Place) -> None:
    ((name, (error, build)),) = native.info_all("build").items()

    assert error is None
    assert build[0].isdigit()
    assert [node["node_name"] for node in native.get_node_names()] == [name]
    assert aerospike_place.namespace in native.info_random_node("namespaces").split("\t")[1].strip().split(";")
    assert code(native.info_all, "nonsense") == 4
    assert "objects=" in native.info_random_node(f"namespace/{aerospike_place.namespace}")
    assert "unknown" in native.info_random_node("namespace/nowhere")


def test_sets_and_namespaces_have_figures(native: Any, aerospike_place: Place) -> None:
    namespace, name = aerospike_place.namespace, next(names)
    for number in range(3):
        native.put((namespace, name, number), {"v": b"x"})
    native.get((namespace, name, 0))

    figures = native.info_random_node(f"sets/{namespace}/{name}").split("\t")[1]
    assert {"objects=3", "data_used_bytes=192", "truncate_lut=0"} <= set(figures.strip(";\n").split(":"))
    assert f"ns={namespace}:set={name}:objects=3:" in native.info_random_node(f"sets/{namespace}")
    assert native.info_random_node(f"sets/{namespace}/{next(names)}").split("\t")[1] == "\n"

    found = dict(
        pair.split("=") for pair in native.info_random_node(f"namespace/{namespace}").split("\t")[1].split(";")
    )
    assert int(found["objects"]) >= 3
    assert int(found["client_read_success"]) >= 1
    assert (found["effective_replication_factor"], found["default-ttl"]) == ("1", "0")
    for number in range(3):
        native.remove((namespace, name, number))


def test_users_are_not_known(aerospike_place: Place) -> None:
    config = {"hosts": list(aerospike_place.hosts), "user": "somebody", "password": "secret"}

    assert code(aerospike.client, config) == 51


def test_another_clusters_name_is_refused(aerospike_place: Place) -> None:
    assert code(aerospike.client, {"hosts": list(aerospike_place.hosts), "cluster_name": "another"}) != 0
    assert aerospike.client({"hosts": list(aerospike_place.hosts), "cluster_name": "lab"}).is_connected()
