"""The soak of one place: workers that play while everything around them fails, and what came of it."""

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
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from tests.processes import ROOT
from tests.soak.board import UNANSWERED, Board, Figure
from tests.soak.faults import Faults, Victims
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
    unanswered: int
    memory: int
    files: int


class Injection(NamedTuple):
    """A fault that was injected, and when it began and was over, in seconds from the start."""

    name: str
    began: float
    ended: float


@dataclass
class Outcome:
    """What came of a soak."""

    name: str
    seconds: float = 0.0
    figures: dict[Figure, int] = field(default_factory=dict)
    injections: list[Injection] = field(default_factory=list)
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
        self._numbers = range(workers)
        self._workers: dict[int, subprocess.Popen[bytes]] = {}
        self._starts: Counter[int] = Counter()
        self._over = threading.Event()
        self._faulty = faulty
        self._server: Server | Node | None = None
        self._proxy: Proxy | None = None
        self._mounted = False
        self.outcome = Outcome(name)

    def run(self, seconds: float) -> Outcome:
        """Let it soak."""
        self._folder.mkdir(parents=True)
        self._data.mkdir(mode=0o700)
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

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _begin(self) -> None:
        place = self._place
        self._mounted = self._mount()
        if place.given:
            self.outcome.left_out.append("all faults of the server and on the way to it: it is not the soak's own")
        port = 0
        self._server = place.server(self._folder)
        if self._server is not None:
            self._server.start()
            port = self._server.address.port
        if isinstance(self._server, Server):
            self._proxy = Proxy(self._server.address)
            port = self._proxy.port
        settings = {
            "url": place.url.format(folder=self._folder, port=port, run=f"{time.time_ns():x}"),
            "options": place.options,
            "promise": asdict(place.promise),
            "shift": place.shift,
            "linger": place.linger,
            "faulty": self._faulty,
            "forks": True,
        }
        (self._folder / "settings.json").write_text(json.dumps(settings))
        for number in self._numbers:
            self._start(number)

    def _mount(self) -> bool:
        """Give the data a small file system, to be filled; only root can."""
        if not self._place.url.startswith("embedded") and self._place.command[:1] != (sys.executable,):
            return False
        command = ["mount", "-t", "tmpfs", "-o", f"size={_ROOM + (32 << 20)},mode=700", "tmpfs", str(self._data)]
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
        injecting = threading.Thread(target=self._inject, args=(started, seconds))
        injecting.start()
        sampled = 0.0
        while (at := time.monotonic() - started) < seconds and not self._over.is_set():
            for number, worker in self._workers.items():
                if (status := worker.poll()) is not None:
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

    def _inject(self, started: float, seconds: float) -> None:
        victims = Victims(self._workers, self._server, self._proxy, self._data if self._mounted else None, self._forget)
        faults = Faults(victims, self._random, self._over.wait)
        try:
            while not self._over.wait(self._random.uniform(0.2, 1.0) * self._pause):
                began = time.monotonic() - started
                if began > seconds:
                    break
                name = faults.inject()
                self.outcome.injections.append(Injection(name, began, time.monotonic() - started))
        except BaseException as error:
            self.outcome.faults.append(f"the supervisor failed: {error!r}")
            self._over.set()
            raise

    def _forget(self) -> None:
        if self._place.promise.forgets:
            self._board.forget()

    def _sample(self, at: float) -> Sample:
        processes = [*self._workers.values(), self._server.process if self._server is not None else None]
        return Sample(
            at,
            self._board.total(Figure.OPERATIONS),
            sum(map(self._board.total, UNANSWERED)),
            sum(_memory(process.pid) for process in processes if process is not None),
            sum(_room(path) for path in self._data.rglob("*") if path.name != "filler"),
        )

    # -- at the end ----------------------------------------------------------------------------------------

    def _end(self) -> None:
        """Let everything come to rest, the workers look at all their keys, and the audit at the shared ones."""
        if isinstance(self._server, Node):
            self._server.cluster.heal()
        for number, worker in self._workers.items():
            if worker.poll() is not None:
                self._start(number)
        time.sleep(self._place.linger + 0.5)
        self._board.end()
        for number, worker in self._workers.items():
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
        for worker in self._workers.values():
            worker.kill()
            worker.wait()
        if self._proxy is not None:
            self._proxy.close()
        if self._server is not None:
            self._server.kill()
        if self._mounted:
            subprocess.run(["umount", "-l", str(self._data)], check=False)


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
