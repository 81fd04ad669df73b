"""Changes of records that exclude each other, by leases kept on a Tokyo Tyrant server.

The server can store a record where there is none, of several who try for one, and hardly anything else that
excludes another. So whoever changes a record has its *lease* meanwhile, a record of its own with a token that is used
only once. An edit takes two round trips: the first tries for the lease and reads the record, the second stores what
becomes of the record and removes the lease, in this order.

Who finds the lease taken looks again and again. One that stays the same for its *term* was left behind: its holder
writes only in the first half of the term, by his own clock, and gives up with `Timeout` if he comes to it later; what
he has sent is over and done with at the end of the second half. The term is in the lease. Those who wait count what
they have slept, each for himself: the clocks of two machines are never compared, and the time that a server takes to
answer counts for nothing.

Then they elect a *successor*: the record that is named after the token of the one who is gone takes one token, and
a successor may be succeeded in turn. The last one in this chain has the lease, provided that after it has become the
last one the lease is still the one that the chain began with. A holder removes the lease first and the chain behind it.
So a latecomer who succeeds somebody long forgotten finds another lease, or none, and has nothing.

Nobody waits for one lease while he has another: of many records, those whose leases were got are done, then the
others. `vanish` removes leases, too: edits that are under way then may undo each other.
"""

from __future__ import annotations

import itertools
import os
import random
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from struct import Struct
from typing import Any, Final, TypeAlias, TypeVar

from kt_cache.stores.edits import HEADER, Edit, Seen
from kt_core.errors import Timeout
from kt_core.tyrant import operations as ops
from kt_core.wire.exchange import Flow, Op

T = TypeVar("T")

Step: TypeAlias = "Op[Any] | Flow[Any] | float"
"""An exchange, or several that share a connection, or the seconds to sleep before the next one."""
Steps: TypeAlias = Generator[Step, Any, T]
"""An operation of several exchanges: yields its steps, is sent what each exchange gives, and returns the result."""

OWN: Final = b"\0tt\0"
"""What the keys of the store's own records begin with."""

_TERM: Final = Struct(">I")  # milliseconds, at the end of a lease
_LONGEST_TERM: Final = 60_000
_SPARE: Final = 500  # milliseconds of a term beyond its halves
_TOKEN: Final = 12  # bytes before them
_FIRST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.02  # seconds
_TOGETHER: Final = 32  # edits in one round: a server that writes each lease to a disk has to be done in time
_BYTES: Final = 1 << 20  # of payloads in one round, unless it is of one edit

Note: TypeAlias = Callable[[bytes, "bytes | None", bytes], "tuple[bytes, bytes] | None"]
"""Returns what is to be noted when the record of a key becomes another one: the key of a record, and what is written
behind its end."""


@dataclass
class _Chain:
    """A lease that somebody has, as those who wait for it see it: its token, and the successors'."""

    tokens: list[bytes]
    slept: float = field(default=0.0)
    """Seconds since its end was seen first."""

    @property
    def term(self) -> float:
        """Seconds for which the last one of them has it."""
        term = int.from_bytes(self.tokens[-1][-_TERM.size :], "big")
        return min(term, _LONGEST_TERM) / 1000

    @property
    def is_left(self) -> bool:
        """Whether its holder has gone."""
        return self.slept >= self.term


class Leases:
    """Edits records of one server; `now` gives milliseconds since the epoch.

    `timeout` is what one exchange may take, in seconds.
    """

    def __init__(
        self,
        timeout: float,
        now: Callable[[], int],
        note: Note,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._held = min(timeout, (_LONGEST_TERM - _SPARE) / 2000)
        term = int(2 * self._held * 1000) + _SPARE
        self._term = _TERM.pack(term)
        self._patience = 2 * term / 1000
        self._now = now
        self._note = note
        self._clock = clock

    def token(self) -> bytes:
        """Return what a lease is taken with, once."""
        return os.urandom(_TOKEN) + self._term

    def edit(self, edits: Mapping[bytes, Edit]) -> Steps[dict[bytes, Seen]]:
        """Edit records and return what was there; `Timeout` if others have the lease of one for too long."""
        pending = dict(edits)
        found: dict[bytes, Seen] = {}
        chains: dict[bytes, _Chain] = {}
        slept, pause = 0.0, _FIRST_PAUSE
        while pending:
            part = next(parts(pending))
            done = yield self._round(part, chains)
            found |= done
            for key in part:
                edit = pending.pop(key)
                if key not in done:
                    pending[key] = edit  # behind the others
            if done:
                pause = _FIRST_PAUSE
                continue
            if slept >= self._patience + max((chain.term for chain in chains.values()), default=0):
                # Not which record: the key of a session is what its user shows to be let in.
                raise Timeout(f"others kept the lease of a record for {slept:.0f} s, or none can be stored")
            seconds = pause * random.uniform(0.5, 1)  # noqa: S311 - no secret
            yield seconds
            slept += seconds
            pause = min(2 * pause, _LONGEST_PAUSE)
            for chain in chains.values():
                chain.slept += seconds
        return found

    def try_edit(self, edits: Mapping[bytes, Edit]) -> Steps[dict[bytes, Seen]]:
        """Edit those of the records whose leases are free and return what was there."""
        found: dict[bytes, Seen] = {}
        for part in parts(edits):
            found |= yield self._round(part, {})
        return found

    def _round(self, edits: Mapping[bytes, Edit], chains: dict[bytes, _Chain]) -> Flow[dict[bytes, Seen]]:
        """Edit those of the records whose leases can be got."""
        began = self._clock()
        token = self.token()
        tries: list[Op[bool]] = []
        names: list[bytes] = []
        successions: dict[bytes, bytes] = {}
        for key in edits:
            tries.append(ops.put_keep(_lease(key), token))
            names.append(_lease(key))
            if chain := chains.get(key):
                names.append(_successor(chain.tokens[-1], key))
                if chain.is_left:
                    tries.append(ops.put_keep(names[-1], token))
                    successions[key] = names[-1]
        whole = [key for key, edit in edits.items() if edit.looks]
        cut = [key for key, edit in edits.items() if not edit.looks]
        heads = [fetch_head(key) for key in cut]
        # Sent twice it does no more than once, since having a lease is finding one's own token in it.
        first = ops.together([*tries, ops.mget(names), ops.mget(whole), *heads])._replace(idempotent=True)
        given, wanted, *begun = (yield first)[len(tries) :]
        leases, records = dict(given), dict(wanted)
        records |= {key: head for key, head in zip(cut, begun, strict=True) if head is not None}

        now = self._now()
        found: dict[bytes, Seen] = {}
        puts: list[Op[bool]] = []
        notes: defaultdict[bytes, bytes] = defaultdict(bytes)
        gone: list[bytes] = []
        ends: list[bytes] = []
        for key, edit in edits.items():
            tokens = self._tokens(key, token, leases, chains)
            if tokens[-1:] == [token]:
                record = records.get(key)
                found[key], after = edit.apply(record, now)
                if after is None:
                    gone += [key] if record is not None else []
                elif after is not record:
                    puts.append(ops.put(key, after))
                    if note := self._note(key, record, after):
                        notes[note[0]] += note[1]
                ends += [_lease(key), *(_successor(before, key) for before in tokens[:-1])]
            if key in successions and leases.get(successions[key]) == token not in tokens[1:]:
                ends.append(successions[key])  # of somebody long forgotten
        if found and self._clock() - began > self._held:
            raise Timeout(f"the server took longer than {self._held} s to give a lease")
        if ends:
            changes = [*itertools.starmap(ops.put_cat, notes.items()), *puts]
            removal = ops.misc(b"outlist", [*gone, *ends], log=True)
            *stored, removed = yield ops.together([*changes, removal])
            if not all(stored) or (gone and removed is None):
                raise ops.refused("to change a record")
        return found

    def _tokens(
        self, key: bytes, token: bytes, leases: Mapping[bytes, bytes], chains: dict[bytes, _Chain]
    ) -> list[bytes]:
        """Return the chain of tokens that a key's lease is now known to be, none if there is no lease."""
        head, chain = leases.get(_lease(key)), chains.get(key)
        if head is None or head == token:
            chains.pop(key, None)
            return [] if head is None else [token]
        if chain is None or chain.tokens[0] != head:
            chain = chains[key] = _Chain([head])
        elif successor := leases.get(_successor(chain.tokens[-1], key)):
            chain.tokens.append(successor)
            chain.slept = 0.0
        return chain.tokens


def parts(edits: Mapping[bytes, Edit]) -> Iterator[dict[bytes, Edit]]:
    """Yield edits, as many at a time as are sent at once."""
    part: dict[bytes, Edit] = {}
    size = 0
    for key, edit in edits.items():
        more = len(key) + len(edit.payload) + len(edit.absent or b"")
        if part and (size + more > _BYTES or len(part) == _TOGETHER):
            yield part
            part, size = {}, 0
        part[key] = edit
        size += more
    if part:
        yield part


def fetch_head(key: bytes) -> Op[bytes | None]:
    """Return what fetches the expiry of a record without its payload; the server does not count it as a read."""
    return ops.misc(b"getpart", (key, b"0", b"%d" % HEADER.size)).then(lambda found: found[0] if found else None)


def _lease(key: bytes) -> bytes:
    return OWN + b"lease\0" + key


def _successor(token: bytes, key: bytes) -> bytes:
    return OWN + b"successor\0" + token + key
