"""Faults on demand, as the real client meets them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.aerospike.calling import (
    DISCONNECTED,
    OK,
    OVERLOADED,
    TIMED_OUT,
    UNANSWERED,
    bins,
    code,
    connect,
)
from tests.aerospike.server import Cluster

aerospike = pytest.importorskip("aerospike")
operations = pytest.importorskip("aerospike_helpers.operations.operations")

KEY = ("test", "server", "k")
OTHER = ("test", "server", "other")
QUICKLY = {"total_timeout": 100, "max_retries": 0}


@pytest.fixture
def client(cluster: Cluster) -> Any:
    """Return a client of the cluster."""
    return connect(cluster.hosts)


class TestDropping:
    @pytest.mark.parametrize(("kind", "after"), [("drop before", 1), ("drop after", 2)])
    def test_tells_nobody_whether_a_write_was_done(self, cluster: Cluster, client: Any, kind: Any, after: int) -> None:
        client.put(KEY, {"v": 1})
        cluster.fail(kind)
        with pytest.raises(aerospike.exception.AerospikeError) as caught:
            client.increment(KEY, "v", 1)

        assert caught.value.code == DISCONNECTED
        assert caught.value.in_doubt
        assert bins(client, KEY) == {"v": after}

    def test_is_survived_by_reads_that_are_repeated(self, cluster: Cluster, client: Any) -> None:
        client.put(KEY, {"v": 1})
        cluster.fail("drop before", 2)

        assert client.get(KEY)[2] == {"v": 1}

    def test_leaves_the_rows_of_a_batch_unanswered(self, cluster: Cluster, client: Any) -> None:
        cluster.fail("drop after")
        batch = client.batch_operate([KEY, OTHER], [operations.write("v", 1)])

        assert batch.result == DISCONNECTED
        assert [(row.result, row.in_doubt) for row in batch.batch_records] == [(UNANSWERED, True)] * 2
        assert bins(client, KEY) == {"v": 1}

    def test_may_be_for_one_record(self, cluster: Cluster, client: Any) -> None:
        cluster.fail("drop before", None, digest=aerospike.calc_digest(*KEY))

        assert code(client.put, OTHER, {"v": 1}) == OK
        assert code(client.put, KEY, {"v": 1}) == DISCONNECTED
        assert code(client.put, KEY, {"v": 1}) == DISCONNECTED
        cluster.heal()
        assert code(client.put, KEY, {"v": 1}) == OK


class TestCode:
    def test_is_answered_instead(self, cluster: Cluster, client: Any) -> None:
        cluster.fail("code", 2, value=OVERLOADED)

        assert [code(client.put, KEY, {"v": 1}) for _ in range(3)] == [OVERLOADED, OVERLOADED, OK]

    def test_of_a_scan(self, cluster: Cluster, client: Any) -> None:
        client.put(KEY, {"v": 1})
        cluster.fail("code", None, value=OVERLOADED)

        assert code(client.query("test", "server").results, {"max_retries": 0}) == OVERLOADED

    def test_of_a_batch(self, cluster: Cluster, client: Any) -> None:
        cluster.fail("code", value=OVERLOADED)

        assert client.batch_read([KEY, OTHER], policy={"max_retries": 0}).result == OVERLOADED


class TestWaiting:
    @pytest.mark.parametrize(("kind", "value"), [("delay", 10), ("freeze", 0)])
    def test_ends_with_the_clients_patience(self, cluster: Cluster, client: Any, kind: Any, value: float) -> None:
        cluster.fail(kind, value=value)
        with pytest.raises(aerospike.exception.TimeoutError) as caught:
            client.put(KEY, {"v": 1}, policy=QUICKLY)

        assert caught.value.code == TIMED_OUT
        assert caught.value.in_doubt

    def test_is_over_when_the_fault_is(self, cluster: Cluster, client: Any) -> None:
        cluster.fail("freeze")
        with ThreadPoolExecutor(1) as threads:
            put = threads.submit(client.put, KEY, {"v": 1}, policy={"total_timeout": 10_000})
            while not cluster.served():
                pass
            cluster.heal()

            assert put.result() == 0

    def test_a_short_delay_is_none(self, cluster: Cluster, client: Any) -> None:
        cluster.fail("delay", value=0.01)

        assert code(client.put, KEY, {"v": 1}) == OK

    def test_a_silent_node_answers_nothing(self, cluster: Cluster, client: Any) -> None:
        cluster.pause()
        assert code(client.get, KEY, QUICKLY) == TIMED_OUT

        cluster.resume()
        assert code(client.put, KEY, {"v": 1}) == OK


class TestStopping:
    def test_refuses_until_it_is_back(self, cluster: Cluster, client: Any) -> None:
        client.put(KEY, {"v": 1})
        cluster.stop()
        assert code(client.get, KEY) == DISCONNECTED
        assert code(connect, cluster.hosts) == DISCONNECTED

        cluster.start()
        assert bins(client, KEY) == {"v": 1}

    def test_may_lose_everything(self, cluster: Cluster, client: Any) -> None:
        client.put(KEY, {"v": 1})
        cluster.stop()
        cluster.lose()
        cluster.start()

        assert bins(client, KEY) is None

    def test_connections_that_end_are_replaced(self, cluster: Cluster, client: Any) -> None:
        client.put(KEY, {"v": 1})
        cluster.disconnect()

        assert code(client.get, KEY) == OK


class TestNodes:
    def test_share_the_keys(self, two_nodes: Cluster) -> None:
        client = connect(two_nodes.hosts[:1])
        keys = [("test", "server", number) for number in range(100)]
        client.batch_operate(keys, [operations.write("v", 1)])
        batches = [two_nodes.served(node) for node in (0, 1)]
        for key in keys:
            client.get(key)
        shares = [two_nodes.served(node) - batches[node] for node in (0, 1)]

        assert len(client.get_nodes()) == 2
        assert batches == [1, 1]
        assert sum(shares) == 100
        assert min(shares) > 20

    def test_take_over_from_each_other(self, two_nodes: Cluster) -> None:
        client = connect(two_nodes.hosts, tend_interval=250)
        keys = [("test", "server", number) for number in range(20)]
        client.batch_operate(keys, [operations.write("v", 1)])
        two_nodes.stop(0)

        reads = [code(client.get, key) for key in keys]  # those of the dead one are repeated with the other
        assert reads == [OK] * 20

        patient = {"total_timeout": 20_000, "max_retries": 400, "sleep_between_retries": 50}
        assert {code(client.put, key, {"v": 2}, policy=patient) for key in keys} == {OK}

        two_nodes.start(0)
        two_nodes.stop(1)
        assert {code(client.put, key, {"v": 3}, policy=patient) for key in keys} == {OK}
        assert [bins(client, key) for key in keys] == [{"v": 3}] * 20
