"""``kt monitor``: what a place does, as it does it: operations, hit ratio, round trips, records and sizes."""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from statistics import median
from typing import Any, Final, NamedTuple

from kt_core.commands.console import OK, UNREACHABLE, Console
from kt_core.commands.looking import milliseconds
from kt_core.commands.places import Place, open_place
from kt_core.commands.places.base import Sample
from kt_core.errors import ConnectionFailed, KTError, Timeout
from kt_core.sizes import in_bytes
from kt_core.terminal import Terminal

_BARS: Final = "▁▂▃▄▅▆▇█"
_HISTORY: Final = 200  # figures that are kept, more than a screen is wide
_PINGS: Final = 5


class Figure(NamedTuple):
    """One row: its name, its value, None for none, and how that is shown."""

    name: str
    value: float | None
    show: Callable[[float], str]


def monitor(given: argparse.Namespace, console: Console) -> int:
    """Show figures, again and again until it is interrupted."""
    histories: dict[str, deque[float]] = {}
    with closing(open_place(given.at)) as place:
        try:
            for number, figures in enumerate(_watch(place, given.interval, console), 1):
                if isinstance(figures, KTError):
                    facts = {"url": given.at, "time": round(console.clock(), 3), "error": str(figures)}
                    console.tell(facts, str(figures), "bad")
                else:
                    for figure in figures:
                        histories.setdefault(figure.name, deque(maxlen=_HISTORY)).append(figure.value or 0.0)
                    _show(given.at, figures, histories, console, redraw=not given.once)
                if given.once or number == given.count:
                    return OK if not isinstance(figures, KTError) else UNREACHABLE
        except KeyboardInterrupt:
            console.terminal.line()
    return OK


def _watch(place: Place, interval: float, console: Console) -> Iterator[list[Figure] | KTError]:
    """Yield the figures of each interval, or why there are none: a server that was there may come back."""
    before, then = place.sample(), console.timer()
    while True:
        console.pause(interval)
        try:
            took = [milliseconds(place, console) for _ in range(_PINGS)]
            now, sample = console.timer(), place.sample()
        except (ConnectionFailed, Timeout) as error:
            yield error
            continue
        yield _figures(before, sample, now - then, took)
        before, then = sample, now


def _figures(before: Sample, now: Sample, seconds: float, took: Sequence[float]) -> list[Figure]:
    operations = {kind: max(number - before.operations[kind], 0) for kind, number in now.operations.items()}
    hits, misses = now.hits - before.hits, now.misses - before.misses
    return [
        *(Figure(f"{kind}/s", number / seconds, "{:,.0f}".format) for kind, number in operations.items()),
        Figure("hit ratio", hits / (hits + misses) if hits + misses > 0 <= hits else None, "{:.1%}".format),
        Figure("ping ms", median(took), "{:.3f}".format),
        Figure("users", now.connections, "{:,}".format),
        Figure("records", now.records, "{:,}".format),
        Figure("size", now.bytes, in_bytes),
    ]


def _show(url: str, figures: list[Figure], histories: dict[str, deque[float]], console: Console, redraw: bool) -> None:
    if console.as_json:
        values: dict[str, Any] = {
            figure.name.replace(" ", "_"): figure.value if figure.value is None else round(figure.value, 4)
            for figure in figures
        }
        console.json({"url": url, "time": round(console.clock(), 3), **values})
        return
    terminal = console.terminal
    if not terminal.interactive:
        terminal.line("  ".join(f"{figure.name} {_text(figure)}" for figure in figures))
        return
    if redraw:
        terminal.clear()
    terminal.line(url[: terminal.width], "dim")
    for line in _lines(figures, histories, terminal):
        terminal.line(line)


def _lines(figures: list[Figure], histories: dict[str, deque[float]], terminal: Terminal) -> Iterator[str]:
    names = max(len(figure.name) for figure in figures)
    texts = max(8, *(len(_text(figure)) for figure in figures))
    room = max(terminal.width - names - texts - 3, 0)
    for figure in figures:
        bars = sparkline(list(histories[figure.name])[-room:] if room else [])
        yield f"{figure.name:<{names}} {_text(figure):>{texts}}  {bars}"


def _text(figure: Figure) -> str:
    return "-" if figure.value is None else figure.show(figure.value)


def sparkline(values: Sequence[float]) -> str:
    """Return a bar for each value, as high as it is between 0 and the greatest of them."""
    most = max(values, default=0.0)
    if most <= 0:
        return _BARS[0] * len(values)
    return "".join(_BARS[min(int(max(value, 0.0) / most * len(_BARS)), len(_BARS) - 1)] for value in values)
