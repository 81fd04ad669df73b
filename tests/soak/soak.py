"""The soak of one place: workers that play, and a supervisor that lets everything around them fail."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from tests.processes import ROOT
from tests.soak.board import Board, Figure
from tests.soak.journal import Log, read
from tests.soak.places import Node, Place, Server
from tests.soak.proxy import Proxy

_TICK: Final = 0.05  # seconds between two looks at the workers
_PATIENCE: Final = 120  # seconds for workers to look at everything once more
_ROOM: Final = 24 << 20
"""Bytes of the file system that is filled."""


@dataclass
class Sample:
    """How things stood, `at` seconds from the start; memory and files in bytes."""

    at: float
    operations: int
    injected: int
    wrong: int
    memory: int
    files: int


@dataclass
class Outcome:
    """What came of a soak."""

    name: str
    seconds: float = 0.0
    figures: dict[Figure, int] = field(default_factory=dict)
    injected: Counter[str] = field(default_factory=Counter)
    faults: list[object] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether something was done, and every answer was right."""
        return self.figures.get(Figure.OPERATIONS, 0) > 0 and not self.faults


class Soak:
    """One place, with everything of it in a folder; `pause` is how many seconds pass between two faults, at most."""

    def __init__(
        self,
        name: str,
        place: Place,
        folder: Path,
        *,
        seed: str,
        workers: int = 3,
        faulty: str = "",
        pause: float = 1.0,
    ) -> None:
        self._place, self._folder, self._seed, self._pause = place, folder, seed, pause
        self._random = random.Random(seed)
        self._workers: list[subprocess.Popen[bytes] | None] = [None] * workers
        self._starts: Counter[int] = Counter()
        self._paused: dict[int, float] = {}
        self._over = threading.Event()
        self._faulty = faulty
        self._server: Server | Node | None = None
        self._proxy: Proxy | None = None
        self.outcome = Outcome(name)

    def run(self, seconds: float) -> Outcome:
        """Let it soak."""
        self._folder.mkdir(parents=True)
        (self._folder / "data").mkdir(mode=0o700)
        self._board = Board(self._folder / "board")
        Log(self._folder / "faults.log").close()
        began = time.monotonic()
        try:
            self._begin()
            self._soak(seconds)
            self._end()
            self.outcome.seconds = time.monotonic() - began
        finally:
            self._clear()
        return self.outcome

    def stop(self) -> None:
        """End sooner."""
        self._over.set()

    def _begin(self) -> None:
        place = self._place
        self._mounted = self._mount()
        port = 0
        if place.command:
            self._server = Server(place, self._folder)
        elif place.url.startswith("aerospike"):
            self._server = Node()
        if self._server is not None:
            self._server.start()
            port = self._server.address.port
            if isinstance(self._server, Server):
                self._proxy = Proxy(self._server.address)
                port = self._proxy.port
        settings = {
            "url": place.url.format(folder=self._folder, port=port),
            "options": place.options,
            "promise": asdict(place.promise),
            "shift": place.shift,
            "linger": place.linger,
            "faulty": self._faulty,
            "forks": True,
        }
        (self._folder / "settings.json").write_text(json.dumps(settings))
        for number in range(len(self._workers)):
            self._start(number)

    def _mount(self) -> bool:
        """Give the data a small file system, to be filled; only root can."""
        if not self._place.url.startswith("embedded") and self._place.command[:1] != (sys.executable,):
            return False
        data = self._folder / "data"
        command = ["mount", "-t", "tmpfs", "-o", f"size={_ROOM + (32 << 20)},mode=700", "tmpfs", str(data)]
        if os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return True
        self.outcome.left_out.append("no full disk: only root can mount a small one")
        return False

    def _start(self, number: int) -> None:
        seed = f"{self._seed}/{self._starts[number]}"
        self._starts[number] += 1
        with (self._folder / f"worker-{number}.log").open("ab") as log:
            self._workers[number] = subprocess.Popen(
                [sys.executable, "-m", "tests.soak.worker", str(self._folder), str(number), seed],
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )

    # -- while it runs -------------------------------------------------------------------------------------

    def _soak(self, seconds: float) -> None:
        started = time.monotonic()
        injecting = threading.Thread(target=self._inject, args=(started + seconds,))
        injecting.start()
        sampled = 0.0
        while (at := time.monotonic() - started) < seconds and not self._over.is_set():
            for number, worker in enumerate(self._workers):
                if worker is not None and (status := worker.poll()) is not None:
                    if status != -signal.SIGKILL:
                        self.outcome.faults.append(f"worker {number} ended with {status}: worker-{number}.log")
                        self._over.set()
                    self._start(number)
            if at - sampled >= min(1.0, seconds / 20):
                sampled = at
                self.outcome.samples.append(self._sample(at))
            time.sleep(_TICK)
        self._over.set()
        injecting.join()
        self.outcome.samples.append(self._sample(time.monotonic() - started))

    def _sample(self, at: float) -> Sample:
        processes = [*self._workers, self._server.process if self._server is not None else None]
        return Sample(
            at,
            self._board.total(Figure.OPERATIONS),
            self.outcome.injected.total(),
            self._board.total(Figure.WRONG) + self._board.total(Figure.LOST),
            sum(_memory(process.pid) for process in processes if process is not None),
            sum(_room(path) for path in (self._folder / "data").rglob("*") if path.name != "filler"),
        )

    def _inject(self, end: float) -> None:
        try:
            while not self._over.wait(self._random.uniform(0.2, 1.0) * self._pause) and time.monotonic() < end:
                name = self._random.choice(list(self._faults))
                self._faults[name]()
                self.outcome.injected[name] += 1
        except BaseException as error:
            self.outcome.faults.append(f"the supervisor failed: {error!r}")
            self._over.set()
            raise

    @cached_property
    def _faults(self) -> dict[str, Callable[[], None]]:
        """Return what can be done to this place."""
        faults = {"worker killed": self._kill_worker, "worker stopped": self._stop_worker}
        if isinstance(self._server, Server):
            faults |= {"server killed": self._kill_server, "server stopped": self._stop_server}
        if self._proxy is not None:
            faults |= {
                "connections cut": self._proxy.cut,
                "cut within a reply": lambda: self._proxied().cut_reply(self._random.randrange(12)),
                "stalled": self._stall,
                "delayed": self._delay,
            }
        if isinstance(self._server, Node):
            cluster = self._server.cluster
            faults |= {
                "connections cut": cluster.disconnect,
                "cut before the work": lambda: cluster.fail("drop before"),
                "cut after the work": lambda: cluster.fail("drop after"),
                "delayed": lambda: cluster.fail("delay", 5, value=self._random.uniform(0.05, 1.5)),
                "refused": lambda: cluster.fail("code", value=18),  # device overload
                "frozen": self._freeze,
                "node silent": self._silence,
                "node stopped": self._stop_node,
            }
        if self._mounted:
            faults["disk filled"] = self._fill
        return faults

    def _proxied(self) -> Proxy:
        assert self._proxy is not None
        return self._proxy

    def _for_a_while(self, longest: float) -> None:
        self._over.wait(self._random.uniform(0.1, longest))

    def _worker(self) -> subprocess.Popen[bytes]:
        worker = self._random.choice(self._workers)
        assert worker is not None
        return worker

    def _kill_worker(self) -> None:
        self._worker().kill()

    def _stop_worker(self) -> None:
        worker = self._worker()
        worker.send_signal(signal.SIGSTOP)
        self._for_a_while(1.5)
        worker.send_signal(signal.SIGCONT)

    def _kill_server(self) -> None:
        assert isinstance(self._server, Server)
        self._server.kill()
        self._for_a_while(0.5)
        if self._place.promise.forgets:
            self._board.forget()
        self._server.start()

    def _stop_server(self) -> None:
        assert isinstance(self._server, Server)
        self._server.pause(self._random.uniform(0.1, 0.9), self._over.wait)

    def _stall(self) -> None:
        self._proxied().stall()
        self._for_a_while(0.9)
        self._proxied().flow()

    def _delay(self) -> None:
        self._proxied().delay = self._random.uniform(0.001, 0.05)
        self._for_a_while(2.0)
        self._proxied().delay = 0.0

    def _fill(self) -> None:
        filler = self._folder / "data" / "filler"
        try:
            with filler.open("wb", buffering=0) as file:
                while file.write(bytes(1 << 20)):
                    pass
        except OSError:
            self._for_a_while(1.5)
        finally:
            filler.unlink(missing_ok=True)

    def _freeze(self) -> None:
        assert isinstance(self._server, Node)
        self._server.cluster.fail("freeze", 3)
        self._for_a_while(1.5)
        self._server.cluster.heal()

    def _silence(self) -> None:
        assert isinstance(self._server, Node)
        self._server.cluster.pause()
        self._for_a_while(1.5)
        self._server.cluster.resume()

    def _stop_node(self) -> None:
        assert isinstance(self._server, Node)
        self._server.cluster.stop()
        self._for_a_while(1.0)
        self._server.cluster.start()

    # -- at the end ----------------------------------------------------------------------------------------

    def _end(self) -> None:
        """Let everything come to rest, the workers look at all their keys, and the audit at the shared ones."""
        if isinstance(self._server, Node):
            self._server.cluster.heal()
        for number, worker in enumerate(self._workers):
            if worker is None or worker.poll() is not None:
                self._start(number)
        time.sleep(self._place.linger + 0.5)
        self._board.end()
        for number, worker in enumerate(self._workers):
            assert worker is not None
            if status := worker.wait(_PATIENCE):
                self.outcome.faults.append(f"worker {number} ended with {status}: worker-{number}.log")
        audited = subprocess.run(
            [sys.executable, "-m", "tests.soak.audit", str(self._folder)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        if audited.returncode:
            self.outcome.faults.append(f"the audit failed: {audited.stderr}")
        self.outcome.faults += read(self._folder / "faults.log")
        self.outcome.figures = {figure: self._board.total(figure) for figure in Figure}

    def _clear(self) -> None:
        for worker in filter(None, self._workers):
            worker.kill()
            worker.wait()
        if self._proxy is not None:
            self._proxy.close()
        if self._server is not None and self._server.process is not None:
            self._server.kill()
        if isinstance(self._server, Node):
            self._server.kill()
        if self._mounted:
            subprocess.run(["umount", "-l", str(self._folder / "data")], check=False)


def _memory(pid: int) -> int:
    try:
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):  # it has ended
        return 0
    return resident * os.sysconf("SC_PAGE_SIZE")


def _room(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except OSError:
        return 0
