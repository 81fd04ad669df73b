"""Scripts of the server as a program: its flags, and the signal that has a script read anew."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

from kt_core.server.command import parse
from kt_core.server.server import ServerOptions
from tests.server.exchange import Wire
from tests.server.program import program
from tests.server.scripting.playing import play


def test_flags() -> None:
    options = ServerOptions(
        **parse(["-scr", "a.lua", "-scrtime", "2.5", "-scrmem", "64m", "-scropen", "-th", "3"]).options
    )
    assert (options.script, options.script_patience, options.script_memory) == ("a.lua", 2.5, 64 << 20)
    assert (options.script_opened, options.threads) == (True, 3)
    assert ServerOptions(**parse(["-th", "0"]).options).threads == 1


def test_a_signal_has_the_script_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "script.lua"
    path.write_text("function who(i, o) o.a = 'one' end")
    flags = ("-port", "0", "-lz", "-scr", str(path))
    with program("%", flags=flags, stdout=subprocess.DEVNULL) as running, Wire(running.address) as wire:
        assert play(wire, "who") == {"a": "one"}
        assert wire.call("set", key="k", value="v").status == 200
        path.write_text("function who(i, o) o.a = 'two' end")
        running.process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + 20
        while play(wire, "who") != {"a": "two"} and time.monotonic() < deadline:
            time.sleep(0.01)
        assert play(wire, "who") == {"a": "two"}
        assert wire.call("get", key="k").values == {b"value": b"v"}
