"""The report on the Aerospike store: its calls beside those of the official client."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from bench.aerospike import CLIENT, OTHER, STORE, Official, Ours, _batches, _cluster, report
from bench.report import Setting
from tests.fix_aerospike import AEROSPIKE_KINDS

SAMPLES = {
    "get": {STORE: [22.0, 21.0, 44.0], CLIENT: [20.0, 20.0, 40.0], OTHER: [40.0, 40.0, 40.0]},
    "set": {STORE: [30.0, 30.0, 30.0], CLIENT: [30.0, 30.0, 60.0], OTHER: [60.0, 60.0, 60.0]},
}


def test_medians_and_ratios() -> None:
    rows = report(SAMPLES, Setting("python -m bench aerospike"), ["Aerospike server: this one"]).text.splitlines()
    assert "- Aerospike server: this one" in rows
    assert "| AerospikeStore | 22.0 | 30.0 |" in rows
    assert "| AerospikeStore / official client | 1.10 | 1.00 |" in rows
    assert "| AerospikeStore / redis-py | 0.55 | 0.50 |" in rows


@pytest.mark.skipif(not AEROSPIKE_KINDS, reason="the official client is not installed")
def test_both_do_the_same() -> None:
    with ExitStack() as stack:
        hosts, _ = _cluster(stack)
        for entrant, key, to_key in ((Ours(hosts), b"k", str.encode), (Official(hosts), "k", str)):
            titles = {batch.title: batch.run() for batch in _batches(entrant, to_key, 0.001)}
            assert list(titles) == ["get", "miss", "set", "incr", "get_many 100", "set_many 100"]
            assert not entrant.set_many({key: 5})
            assert entrant.incr(key) == 6
            assert entrant.get_many([key, key * 2]) == {key: 6}
            assert entrant.get(key * 2) is None
