"""Every key of a config does what the legacy module said, or tells that it cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kt_core import aerospike
from kt_core.aerospike.config import translate_config
from tests.aerospike.server import Cluster
from tests.fix_aerospike import Place

HOSTS = [("127.0.0.1", 3000)]


class TestHosts:
    @pytest.mark.parametrize(
        "hosts", [HOSTS, [["127.0.0.1", 3000]], [("127.0.0.1", "3000")], ["127.0.0.1:3000"], ("127.0.0.1", 3000)]
    )
    def test_every_way_to_write_them(self, hosts: Any) -> None:
        assert translate_config({"hosts": hosts}).native["hosts"] == HOSTS

    def test_the_name_for_tls_stays(self) -> None:
        assert translate_config({"hosts": [("a", 1, "name")]}).native["hosts"] == [("a", 1, "name")]

    @pytest.mark.parametrize("hosts", [None, [], "127.0.0.1", [("127.0.0.1",)], [3000], [("a", "b")]])
    def test_what_cannot_be_one(self, hosts: Any) -> None:
        with pytest.raises(aerospike.exception.ParamError, match="write"):
            aerospike.client({"hosts": hosts})

    @pytest.mark.parametrize("turn", [1, -1])
    def test_the_first_that_answers_is_taken(self, turn: int, aerospike_place: Place) -> None:
        hosts = [("127.0.0.1", 1), *aerospike_place.hosts][::turn]
        client = aerospike.client({"hosts": hosts, "thread_pool_size": 2}).connect()
        assert client.is_connected()
        client.close()

    def test_none_that_answers_is_an_error_that_names_them(self) -> None:
        with pytest.raises(aerospike.exception.ClusterError, match=r"127\.0\.0\.1:1") as caught:
            aerospike.client({"hosts": [("127.0.0.1", 1)], "thread_pool_size": 2}).connect()
        assert caught.value.code == 11


class TestConnecting:
    def test_nothing_is_connected_before_connect(self, aerospike_place: Place) -> None:
        client = aerospike.client({"hosts": list(aerospike_place.hosts)})
        assert not client.is_connected()
        with pytest.raises(aerospike.exception.ClusterError, match="connect"):
            client.get((aerospike_place.namespace, "s", "k"))

    def test_connect_returns_the_client_and_may_be_repeated(self, client: Any) -> None:
        assert client.connect() is client
        assert client.is_connected()

    def test_a_closed_client_says_so_and_connects_again(self, client: Any, key: Any) -> None:
        client.close()
        client.close()
        assert not client.is_connected()
        with pytest.raises(aerospike.exception.ClusterError):
            client.get(key)
        assert client.connect().get(key)[1] is None

    def test_a_cluster_that_is_gone(self, cluster: Cluster) -> None:
        client = aerospike.client({"hosts": cluster.hosts, "thread_pool_size": 2}).connect()
        client.close()
        cluster.stop()
        with pytest.raises(aerospike.exception.ClusterError):
            client.connect()
        assert not client.is_connected()

    def test_user_and_password_reach_the_server(self, aerospike_place: Place) -> None:
        client = aerospike.client({"hosts": list(aerospike_place.hosts), "thread_pool_size": 2})
        with pytest.raises(aerospike.exception.AerospikeError):
            client.connect("somebody", "secret")  # the servers of these tests have no users
        assert not client.is_connected()


class TestPolicies:
    def test_timeout_and_retry_are_those_of_single_and_batch_calls(self, connect: Callable[..., Any]) -> None:
        policies = connect(policies={"timeout": 200, "retry": aerospike.POLICY_RETRY_ONCE}).get_policies()
        for group in ("read", "write", "operate", "remove", "apply", "batch", "batch_parent_write"):
            assert (policies[group]["total_timeout"], policies[group]["max_retries"]) == (200, 1), group
        assert policies["query"]["total_timeout"] == policies["scan"]["total_timeout"] == 0

    def test_a_timeout_is_kept(self, cluster: Cluster) -> None:
        client = aerospike.client({"hosts": cluster.hosts, "policies": {"timeout": 50}}).connect()
        cluster.pause()
        with pytest.raises(aerospike.exception.TimeoutError):
            client.get(("test", "s", "k"))
        cluster.resume()
        client.close()

    def test_a_timeout_of_one_call_is_kept(self, cluster: Cluster) -> None:
        client = aerospike.client({"hosts": cluster.hosts, "policies": {"timeout": 0}}).connect()
        cluster.pause()
        with pytest.raises(aerospike.exception.TimeoutError):
            client.put(("test", "s", "k"), {"v": 1}, policy={"timeout": 50, "retry": aerospike.POLICY_RETRY_NONE})
        cluster.resume()
        client.close()

    def test_key_and_commit_level_are_those_of_every_write(self, connect: Callable[..., Any]) -> None:
        policies = connect(
            policies={"key": aerospike.POLICY_KEY_SEND, "commit_level": aerospike.POLICY_COMMIT_LEVEL_MASTER}
        ).get_policies()
        for group in ("write", "operate", "remove", "apply", "batch_write", "batch_remove", "batch_apply"):
            assert (policies[group]["key"], policies[group]["commit_level"]) == (1, 1), group

    def test_consistency_level_and_replica_are_those_of_reads(self, connect: Callable[..., Any]) -> None:
        policies = connect(
            policies={"consistency_level": aerospike.POLICY_CONSISTENCY_ALL, "replica": aerospike.POLICY_REPLICA_MASTER}
        ).get_policies()
        for group in ("read", "operate", "batch"):
            assert (policies[group]["read_mode_ap"], policies[group]["replica"]) == (1, 0), group

    def test_exists_is_kept(self, connect: Callable[..., Any], key: Any) -> None:
        client = connect(policies={"exists": aerospike.POLICY_EXISTS_CREATE})
        client.put(key, {"v": 1})
        with pytest.raises(aerospike.exception.RecordExistsError):
            client.put(key, {"v": 2})

    def test_gen_is_kept(self, connect: Callable[..., Any], key: Any) -> None:
        client = connect(policies={"gen": aerospike.POLICY_GEN_EQ})
        client.put(key, {"v": 1})
        client.put(key, {"v": 2}, {"gen": 1})
        with pytest.raises(aerospike.exception.RecordGenerationError):
            client.put(key, {"v": 3}, {"gen": 1})
        client.put(key, {"v": 3}, {"gen": 1}, {"gen": aerospike.POLICY_GEN_IGNORE})
        with pytest.raises(aerospike.exception.RecordGenerationError):
            client.remove(key, {"gen": 1})
        client.remove(key, {"gen": 3})

    def test_today_s_groups_go_before(self, connect: Callable[..., Any]) -> None:
        policies = connect(policies={"timeout": 200, "read": {"total_timeout": 300}}).get_policies()
        assert (policies["read"]["total_timeout"], policies["write"]["total_timeout"]) == (300, 200)

    @pytest.mark.parametrize("config", [{"policies": {"timeuot": 1}}, {"tread_pool_size": 2}, {"shm": {"nodes": 1}}])
    def test_a_name_that_nobody_knows_is_an_error(self, config: Any, connect: Callable[..., Any]) -> None:
        with pytest.raises(aerospike.exception.ParamError, match="invalid"):
            connect(**config)

    def test_none_is_as_if_it_were_not_there(self, connect: Callable[..., Any], key: Any) -> None:
        client = connect(policies={"timeout": None, "retry": None}, shm=None, thread_pool_size=None)
        assert client.get(key, {"timeout": None})[1] is None


class TestOtherKeys:
    def test_max_threads_is_the_size_of_the_pool_of_connections(self) -> None:
        assert translate_config({"hosts": HOSTS}).native["max_conns_per_node"] == 300
        native = translate_config({"hosts": HOSTS, "max_threads": 7}).native
        assert native["max_conns_per_node"] == 7
        assert "max_threads" not in native

    def test_thread_pool_size_is_passed_on(self) -> None:
        assert translate_config({"hosts": HOSTS, "thread_pool_size": 3}).native["thread_pool_size"] == 3

    def test_batch_direct_is_gone(self, connect: Callable[..., Any], key: Any) -> None:
        with pytest.warns(UserWarning, match="batch_direct"):
            client = connect(batch_direct=True)
        assert client.get_many([key])[0][1] is None

    def test_batch_direct_that_is_off_needs_no_warning(self, connect: Callable[..., Any]) -> None:
        assert connect(batch_direct=False).is_connected()

    def test_the_system_path_of_lua_is_gone(self, connect: Callable[..., Any]) -> None:
        with pytest.warns(UserWarning, match="system_path"):
            assert connect(lua={"system_path": "/usr/local/aerospike/lua"}).is_connected()

    def test_the_user_path_of_lua(self, connect: Callable[..., Any], tmp_path: Path) -> None:
        assert translate_config({"hosts": HOSTS, "lua": {"user_path": str(tmp_path)}}).native["lua"] == {
            "user_path": str(tmp_path)
        }
        assert connect(lua={"user_path": str(tmp_path)}).is_connected()

    def test_shared_memory(self, connect: Callable[..., Any], key: Any) -> None:
        shm = {"max_nodes": 2, "max_namespaces": 2, "takeover_threshold_sec": 2, "shm_key": 0xA5123456}
        client = connect(shm=shm)
        assert client.shm_key() == 0xA5123456
        assert client.get(key)[1] is None

    def test_without_it_there_is_no_key(self, client: Any) -> None:
        assert client.shm_key() is None

    def test_clusters_have_keys_of_their_own_within_shared_memory(self) -> None:
        def shm_key(*hosts: tuple[str, int]) -> int:
            key: int = translate_config({"hosts": list(hosts), "shm": {}}).native["shm"]["shm_key"]
            return key

        assert shm_key(("a", 1), ("b", 2)) == shm_key(("b", 2), ("a", 1))
        assert shm_key(("a", 1)) != shm_key(("b", 1)) != shm_key(("b", 2))
        assert shm_key(("a", 1)) >> 24 == 0xA5

    def test_an_implicit_key_is_used(self, connect: Callable[..., Any]) -> None:
        assert connect(shm={}).shm_key() >> 24 == 0xA5

    @pytest.mark.parametrize("serialization", [(str,), 3, (str, 3), (3, str)])
    def test_serialization_is_a_pair_of_functions(self, serialization: Any) -> None:
        with pytest.raises(aerospike.exception.ParamError, match="serializer"):
            aerospike.client({"hosts": HOSTS, "serialization": serialization})

    def test_the_config_is_left_as_it_is(self) -> None:
        config = {"hosts": [["a", 1]], "policies": {"timeout": 1}, "shm": {}, "lua": {}}
        before = repr(config)
        aerospike.client(config)
        assert repr(config) == before
