"""The bundled server's scripts beside the original's: every piece of Lua on both, by both protocols.

Where there is no `ktserver` there is nothing to compare with; what it said once is in `recordings`.
"""

from __future__ import annotations

import pytest

from kt_core.wire.kt_binary import RequestDecoder
from tests.fix_servers import KINDS, running
from tests.server.exchange import rpc
from tests.server.pair import Pair
from tests.server.running import serving
from tests.server.scripting.record import DATABASES, SCRIPT, all_requests


def by_http(request: bytes) -> bytes:
    """Return the request that calls the same procedure by HTTP."""
    if request[0] != 0xB4:
        return request
    call = RequestDecoder().feed(request)
    given = {b"_" + key: value for key, value in call.records}  # type: ignore[union-attr]
    return rpc("play_script", {b"name": call.name, **given})  # type: ignore[union-attr]


if "ktserver" in KINDS:  # without one there is nothing to compare with
    REQUESTS = dict(all_requests())

    @pytest.mark.parametrize("way", ["binary", "http"])
    @pytest.mark.parametrize("name", REQUESTS)
    def test_both_servers_answer_the_same(name: str, way: str) -> None:
        with (
            running("ktserver", "-th", "1", "-scr", str(SCRIPT), databases=DATABASES) as theirs,
            serving(*DATABASES, script=str(SCRIPT)) as ours,
        ):
            pair = Pair(DATABASES, [(theirs.host, theirs.port), ("127.0.0.1", ours.port)])
            pair.begin()
            differing = []
            for request in REQUESTS[name]:
                asked = request if way == "binary" else by_http(request)
                original, bundled = pair.ask(asked)
                if original != bundled:
                    differing.append((asked, original, bundled))
            pair.end()
        assert differing == []
