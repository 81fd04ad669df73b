"""Every name of the legacy module's documentation is there, and has a test that uses it."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import version

import pytest

from kt_core import aerospike
from kt_core.aerospike import exception, predicates
from kt_core.aerospike.constants import GONE, KEPT

CONFIG = "test_facade_config::Test"
CONSTANTS = "test_facade_constants::Test"
SERIALIZATION = "test_facade_serialization::Test"

FUNCTIONS = {
    "client": f"{CONFIG}Connecting.test_connect_returns_the_client_and_may_be_repeated",
    "set_serializer": f"{SERIALIZATION}Modes.test_the_client_s_own_goes_before_the_registered_one",
    "set_deserializer": f"{SERIALIZATION}Modes.test_half_a_pair_is_completed_by_the_registered_one",
    "unset_serializers": f"{SERIALIZATION}Modes.test_unset_serializers",
    "set_log_handler": "test_facade_log::test_a_handler_gets_five_arguments",
    "set_log_level": "test_facade_log::test_no_event_passes_a_level",
    "geodata": "test_facade_geo::test_geodata_wraps_a_dict",
    "geojson": "test_facade_geo::test_geojson_wraps_a_text",
    "Client": "test_facade_names::test_clients_are_instances_of_the_class",
    "GeoJSON": "test_facade_geo::test_it_is_an_instance_of_the_class",
    "__version__": "test_facade_names::test_version",
}

METHODS = {
    "connect": f"{CONFIG}Connecting.test_user_and_password_reach_the_server",
    "put": "test_facade_records::TestCalls.test_writing_and_reading",
    "get": "test_facade_records::TestMissing.test_get_and_select_return_none",
    "remove": "test_facade_records::TestCalls.test_by_name",
    "operate": f"{CONSTANTS}Operators.test_all_of_them_in_one_call",
    "shm_key": f"{CONFIG}OtherKeys.test_shared_memory",
    "scan_info": f"{CONSTANTS}Scans.test_status_of_a_scan",
    "job_info": f"{CONSTANTS}Jobs.test_status_of_a_job",
    "close": f"{CONFIG}Connecting.test_a_closed_client_says_so_and_connects_again",
}

KEYS = {
    "hosts": f"{CONFIG}Hosts.test_the_first_that_answers_is_taken",
    "lua.system_path": f"{CONFIG}OtherKeys.test_the_system_path_of_lua_is_gone",
    "lua.user_path": f"{CONFIG}OtherKeys.test_the_user_path_of_lua",
    "serialization": f"{SERIALIZATION}Modes.test_the_client_s_own_goes_before_the_registered_one",
    "policies.timeout": f"{CONFIG}Policies.test_a_timeout_is_kept",
    "policies.key": f"{CONFIG}Policies.test_key_and_commit_level_are_those_of_every_write",
    "policies.exists": f"{CONFIG}Policies.test_exists_is_kept",
    "policies.gen": f"{CONFIG}Policies.test_gen_is_kept",
    "policies.retry": f"{CONFIG}Policies.test_timeout_and_retry_are_those_of_single_and_batch_calls",
    "policies.consistency_level": f"{CONFIG}Policies.test_consistency_level_and_replica_are_those_of_reads",
    "policies.replica": f"{CONFIG}Policies.test_consistency_level_and_replica_are_those_of_reads",
    "policies.commit_level": f"{CONFIG}Policies.test_key_and_commit_level_are_those_of_every_write",
    "shm.max_nodes": f"{CONFIG}OtherKeys.test_shared_memory",
    "shm.max_namespaces": f"{CONFIG}OtherKeys.test_shared_memory",
    "shm.takeover_threshold_sec": f"{CONFIG}OtherKeys.test_shared_memory",
    "shm.shm_key": f"{CONFIG}OtherKeys.test_clusters_have_keys_of_their_own_within_shared_memory",
    "thread_pool_size": f"{CONFIG}OtherKeys.test_thread_pool_size_is_passed_on",
    "max_threads": f"{CONFIG}OtherKeys.test_max_threads_is_the_size_of_the_pool_of_connections",
    "batch_direct": f"{CONFIG}OtherKeys.test_batch_direct_is_gone",
}

GROUPS = {
    "OPERATOR_": f"{CONSTANTS}Operators.test_all_of_them_in_one_call",
    "POLICY_COMMIT_LEVEL_": f"{CONSTANTS}Policies.test_those_that_only_a_cluster_can_tell_apart",
    "POLICY_CONSISTENCY_": f"{CONSTANTS}Policies.test_those_that_only_a_cluster_can_tell_apart",
    "POLICY_EXISTS_": f"{CONSTANTS}Policies.test_exists",
    "POLICY_GEN_": f"{CONSTANTS}Policies.test_gen",
    "POLICY_KEY_": f"{CONSTANTS}Policies.test_key",
    "POLICY_REPLICA_": f"{CONSTANTS}Policies.test_those_that_only_a_cluster_can_tell_apart",
    "POLICY_RETRY_": f"{CONSTANTS}Policies.test_retries_are_what_they_say",
    "SCAN_PRIORITY_": f"{CONSTANTS}Scans.test_priorities_are_taken_and_told_to_be_gone",
    "SCAN_STATUS_": f"{CONSTANTS}Scans.test_status_of_a_scan",
    "JOB_": f"{CONSTANTS}Jobs.test_status_of_a_job",
    "SERIALIZER_PYTHON": f"{SERIALIZATION}Modes.test_python_goes_before_the_client_s_own",
    "SERIALIZER_USER": f"{SERIALIZATION}Modes.test_user_without_a_serializer",
    "SERIALIZER_NONE": f"{SERIALIZATION}Modes.test_none_refuses_and_writes_nothing",
    "UDF_TYPE_LUA": f"{CONSTANTS}Functions.test_lua_is_registered",
    "INDEX_TYPE_": f"{CONSTANTS}Indexes.test_kinds_of_collections",
    "INDEX_": f"{CONSTANTS}Indexes.test_they_are_made_and_removed",
    "LOG_LEVEL_": "test_facade_log::test_no_event_passes_a_level",
    "PRIV_": f"{CONSTANTS}Privileges.test_they_reach_the_server",
}
"""Constants, by what their names begin with."""


@pytest.mark.parametrize("test", sorted({*FUNCTIONS.values(), *METHODS.values(), *KEYS.values(), *GROUPS.values()}))
def test_a_test_that_is_named_is_there(test: str) -> None:
    module, _, path = test.partition("::")
    found = import_module(f"tests.aerospike.{module}")
    for name in path.split("."):
        found = getattr(found, name)
    assert callable(found)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_names_are_there(name: str) -> None:
    assert getattr(aerospike, name) is not None


@pytest.mark.parametrize("name", [*GONE, *KEPT])
def test_constants_are_there_and_belong_to_a_group(name: str) -> None:
    assert isinstance(getattr(aerospike, name), int | str)
    assert any(name.startswith(group) for group in GROUPS)
    assert name in aerospike.__all__


@pytest.mark.parametrize("name", METHODS)
def test_methods_are_there(name: str) -> None:
    assert callable(getattr(aerospike.client({"hosts": [("127.0.0.1", 1)]}), name))


def test_there_are_as_many_constants_as_in_the_documentation() -> None:
    assert len({*GONE, *KEPT}) == 57


def test_all_can_be_imported() -> None:
    names: dict[str, object] = {}
    exec("from kt_core.aerospike import *", names)
    assert set(aerospike.__all__) <= set(names)


def test_client_is_the_function_whatever_is_imported() -> None:
    for name in [name for name in sys.modules if name.startswith("kt_core.aerospike.")]:
        import_module(name)
    assert aerospike.client({"hosts": [("127.0.0.1", 1)]})


def test_clients_are_instances_of_the_class() -> None:
    assert isinstance(aerospike.client({"hosts": [("127.0.0.1", 1)]}), aerospike.Client)


def test_version() -> None:
    assert aerospike.__version__ == version("aerospike")


def test_exceptions_and_predicates_are_those_of_the_official_package() -> None:
    official = import_module("aerospike")
    assert exception.RecordNotFound is aerospike.exception.RecordNotFound is official.exception.RecordNotFound
    assert predicates.equals is aerospike.predicates.equals is official.predicates.equals
    assert aerospike.TTL_NEVER_EXPIRE == official.TTL_NEVER_EXPIRE


@pytest.mark.parametrize("name", ["SCAN_PRIORITY_HIGHEST", "__nothing__"])
def test_a_name_that_there_is_not(name: str) -> None:
    with pytest.raises(AttributeError):
        getattr(aerospike, name)
