"""A program that stands in for a server in tests: it tells whoever connects its process id.

``standin.py -host HOST -port PORT [-ready FD -parent PID] [-sock PATH] [-NAME VALUE...] [DATABASE...]``: with
``-ready`` and ``-parent`` it obeys like the bundled server, without them it knows nothing of being embedded.
``-behave`` says what else it does. It needs no package of the project.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
from pathlib import Path

TALK = b"[SYSTEM]: one\n[ERROR]: two\nnow\tERROR\ttwo\nthree\n\n"


def leave_behind(file: Path) -> None:
    """Have another process go on with all that this one has open, and write its number to the file."""
    other = os.fork()
    if other == 0:
        signal.pause()
    file.write_text(str(other))


def behave(options: dict[str, str]) -> None:
    """Do what the test asks for, before anything else."""
    how, file = options.get("-behave"), Path(options.get("-file", ""))
    if how == "die" or (how == "live once" and file.exists()):
        sys.exit("a reason\n[ERROR]: a last word")
    if how == "keep silent":
        os.write(1, b"thinking\n")
        signal.pause()
    if how == "be stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if how == "talk":
        os.write(1, TALK)
    if how == "close the output":
        os.close(1)
        os.close(2)
    if how == "live once":
        file.touch()
    if how == "fork" and not file.exists():
        leave_behind(file)
    if how == "lose the port for a moment" and not file.exists():
        file.touch()
        sys.exit("somebody is there")
    if how == "lose the port" and not file.exists():
        with socket.socket() as taken:
            taken.bind((options["-host"], int(options["-port"])))
            os.closerange(0, 3)
            leave_behind(file)
        sys.exit(1)


def main(options: dict[str, str]) -> None:
    """Serve until SIGTERM, or until the parent is gone."""
    behave(options)
    how = options.get("-behave")
    listeners, port = [], None
    if "-port" in options:
        listeners.append(socket.create_server((options["-host"], int(options["-port"]))))
        port = listeners[0].getsockname()[1]
    if "-sock" in options:
        listeners.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        listeners[-1].bind(options["-sock"])
        listeners[-1].listen()
    if "-ready" in options:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        signal.signal(signal.SIGTERM, lambda *_: sys.exit() if how != "be stubborn" else None)
        ready = int(options["-ready"])
        report = json.dumps({"pid": os.getpid(), "port": port}).encode()
        os.write(ready, b"nonsense\n" if how == "report nonsense" else report)
        os.close(ready)
    while "-parent" not in options or os.getppid() == int(options["-parent"]):
        for listener in select.select(listeners, [], [], 0.02)[0]:
            with listener.accept()[0] as connected:
                connected.sendall(b"%d" % (1 if how == "lie" else os.getpid()))


if __name__ == "__main__":
    main({name: value for name, value in zip(sys.argv, sys.argv[1:], strict=False) if name.startswith("-")})
