"""What `stat` tells, and the counters."""

from __future__ import annotations

import os
import sys

from kt_core.server.tyrant.counters import NAMES
from kt_core.wire import tt_messages as tt
from tests.server.tyrant.asking import Asker
from tests.server.tyrant.running import connect, serving


def told(asker: Asker) -> dict[str, str]:
    return dict(line.split("\t") for line in asker.ask_for(tt.Stat()).decode().splitlines())


def test_its_lines() -> None:
    with serving("+", sid=5) as server, connect(server) as asker:
        asker.tell(tt.Put(b"k", b"v"))
        fields = told(asker)
    assert " ".join(list(fields)[:12]) == "version libver protver os time pid sid type path rnum size bigend"
    assert list(fields)[-len(NAMES) :] == list(NAMES)
    expected = {"version": "1.1.41", "protver": "0.91", "pid": str(os.getpid()), "sid": "5", "type": "on-memory tree"}
    expected |= {"path": "+", "rnum": "1", "bigend": str(int(sys.byteorder == "big"))}
    assert fields.items() >= expected.items()


def test_every_protocol_is_counted_alike() -> None:
    with serving("*") as server, connect(server) as asker:
        asker.tell(tt.Put(b"k", b"v"))
        for request in (tt.PutKeep(b"k", b"v"), tt.PutNr(b"n", b""), tt.Get(b"k"), tt.Get(b"no"), tt.Out(b"no")):
            asker.tell(request)
        asker.call("get", b"k")
        texts = (b"set k 0 0 1\r\nv\r\n", b"get k no\r\n", b"delete no\r\n", b"PUT /k HTTP/1.1\r\n\r\n")
        with connect(server) as other:
            other.send(*texts)
            other.end()
            other.rest()
        fields = told(asker)
    counts = {name: int(fields[f"cnt_{name}"]) for name in ("put", "putkeep", "putnr", "get", "out", "misc", "stat")}
    assert counts == {"put": 3, "putkeep": 1, "putnr": 1, "get": 4, "out": 2, "misc": 1, "stat": 1}
    assert [fields[f"cnt_{name}_miss"] for name in ("put", "get", "out")] == ["1", "2", "2"]
