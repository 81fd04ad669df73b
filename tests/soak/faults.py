"""What a supervisor lets fail: workers, the server behind a store, the connections to it, the disk."""

from __future__ import annotations

import random
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.soak.places import Node, Server
from tests.soak.proxy import Proxy

Fault = Callable[[], None]


@dataclass(frozen=True)
class Victims:
    """What there is to fail; `forget` is called when a server has ended, before it begins again."""

    workers: dict[int, subprocess.Popen[bytes]]
    server: Server | Node | None
    proxy: Proxy | None
    disk: Path | None
    """The directory of a file system that may be filled."""
    forget: Callable[[], None]


class Faults:
    """The faults that are possible, each of which is over when it returns; `wait` returns sooner when all is over."""

    def __init__(self, victims: Victims, dice: random.Random, wait: Callable[[float], object]) -> None:
        self._victims = victims
        self._random = dice
        self._wait = wait
        self._kinds: dict[str, Fault] = {"worker killed": self._kill_worker, "worker stopped": self._stop_worker}
        if isinstance(victims.server, Server):
            self._kinds |= self._of_server(victims.server)
        if isinstance(victims.server, Node):
            self._kinds |= self._of_node(victims.server)
        if victims.proxy is not None:
            self._kinds |= self._of_proxy(victims.proxy)
        if victims.disk is not None:
            self._kinds["disk filled"] = partial(self._fill, victims.disk / "filler")

    def inject(self) -> str:
        """Let something fail; return what it was."""
        name = self._random.choice(list(self._kinds))
        self._kinds[name]()
        return name

    def _for_a_while(self, longest: float) -> None:
        self._wait(self._random.uniform(0.1, longest))

    # -- workers and the disk ------------------------------------------------------------------------------

    def _worker(self) -> subprocess.Popen[bytes]:
        return self._random.choice(list(self._victims.workers.values()))

    def _kill_worker(self) -> None:
        self._worker().kill()

    def _stop_worker(self) -> None:
        worker = self._worker()
        worker.send_signal(signal.SIGSTOP)
        self._for_a_while(1.5)
        worker.send_signal(signal.SIGCONT)

    def _fill(self, filler: Path) -> None:
        try:
            with filler.open("wb", buffering=0) as file:
                while file.write(bytes(1 << 20)):
                    pass
        except OSError:
            self._for_a_while(1.5)
        finally:
            filler.unlink(missing_ok=True)

    # -- a server, and the connections to it ---------------------------------------------------------------

    def _of_server(self, server: Server) -> dict[str, Fault]:
        def kill() -> None:
            server.kill()
            self._for_a_while(0.5)
            self._victims.forget()
            server.start()

        return {"server killed": kill, "server stopped": lambda: server.pause(partial(self._for_a_while, 0.9))}

    def _of_proxy(self, proxy: Proxy) -> dict[str, Fault]:
        def stall() -> None:
            proxy.stall()
            self._for_a_while(0.9)
            proxy.flow()

        def delay() -> None:
            proxy.delay = self._random.uniform(0.001, 0.05)
            self._for_a_while(2.0)
            proxy.delay = 0.0

        return {
            "connections cut": proxy.cut,
            "cut within a reply": lambda: proxy.cut_reply(self._random.randrange(12)),
            "stalled": stall,
            "delayed": delay,
        }

    def _of_node(self, node: Node) -> dict[str, Fault]:
        cluster = node.cluster

        def between(begin: Fault, end: Fault) -> Fault:
            def fault() -> None:
                begin()
                self._for_a_while(1.5)
                end()

            return fault

        return {
            "connections cut": cluster.disconnect,
            "cut before the work": lambda: cluster.fail("drop before"),
            "cut after the work": lambda: cluster.fail("drop after"),
            "delayed": lambda: cluster.fail("delay", 5, value=self._random.uniform(0.05, 1.5)),
            "refused": lambda: cluster.fail("code", value=18),  # device overload
            "frozen": between(lambda: cluster.fail("freeze", 3), cluster.heal),
            "node silent": between(cluster.pause, cluster.resume),
            "node stopped": between(cluster.stop, cluster.start),
        }
