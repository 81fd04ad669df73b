"""Sessions against a plain model, and their steps in any order: no session of a user is ever left out of the list."""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kt_cache.flows import Flow, drive
from kt_cache.sessions import Data, Form, Record, Sessions
from kt_cache.values import Codec
from tests.clock import Clock
from tests.stores.twinned import Twinned

USERS = ["", "7", "8"]
AGES = st.sampled_from([20, 100, 101, 400, 400, -1])
CHANGES: st.SearchStrategy[Data] = st.sampled_from(
    [{}, {}, {"user": "7"}, {"user": "8"}, {"user": ""}, {"a": "1"}, {"a": "2"}, {"a": None}, {"b": "1"}]
)
"""What a request does to a session before it is stored; None deletes an item."""

PREFIX = b"sessions/"


def form(age: float) -> Form:
    return Form(
        lambda data: json.dumps(data, sort_keys=True).encode(),
        json.loads,
        lambda data: data.get("user", ""),
        lambda data: age,
    )


class Request:
    """A session as one request has it: by what name, with what in it, and with what in it when it was loaded."""

    def __init__(self, name: str, known: Record, data: Data) -> None:
        self.name = name
        self.known = known
        self.data = data
        self.base = dict(data)


class Machine(RuleBasedStateMachine):
    """Requests of any number of sessions, which change, save, delete and load them."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.store = Twinned(self.clock)
        self.sessions = Sessions(Codec(serializer="raw", accept=()), lambda name: PREFIX + name.encode(), self.clock)
        self.requests: list[Request] = []
        self.names = 0

    def new_name(self) -> str:
        self.names += 1
        return f"session{self.names}"

    @rule(share=st.sampled_from([0.3, 0.9, 0.9]))
    def time_passes(self, share: float) -> None:
        """Go on for a share of the time until the first session ends."""
        left = self.store.ttl_many(self.store.keys(PREFIX)).values()
        self.advance(int(min(left, default=10) * share))

    @rule(seconds=st.sampled_from([20, 100]))
    def much_time_passes(self, seconds: int) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def draw(self, data: st.DataObject) -> Request:
        """Draw one of the latest requests: the others are mostly of sessions that have ended."""
        return data.draw(st.sampled_from(self.requests[-3:]))

    def draw_changed(self, data: st.DataObject) -> Request:
        request = self.draw(data)
        for item, value in data.draw(CHANGES).items():
            request.data[item] = value
            if value is None:
                del request.data[item]
        return request


class Stored(NamedTuple):
    data: Data
    end: float


class AgainstAModel(Machine):
    """Each operation is done whole, on the sessions and on a dictionary of them."""

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[str, Stored] = {}

    def do(self, flow: Flow[Any]) -> Any:
        return drive(flow, self.store)

    def live(self, name: str) -> Stored | None:
        stored = self.model.get(name)
        return stored if stored is not None and stored.end > self.clock() else None

    def keep(self, name: str, data: Data, age: float) -> None:
        if age > 0:
            self.model[name] = Stored(dict(data), self.clock() + age)
        else:
            self.model.pop(name, None)

    @rule(user=st.sampled_from(USERS), age=AGES)
    def create(self, user: str, age: float) -> None:
        name, data = self.new_name(), {"user": user}
        record = self.do(self.sessions.create(name, data, form(age)))
        self.keep(name, data, age)
        self.requests.append(Request(name, record, data))

    @rule(data=st.data())
    @precondition(lambda self: self.requests)
    def load(self, data: st.DataObject) -> None:
        name = self.draw(data).name
        record, stored = self.do(self.sessions.load(name)), self.live(name)
        assert (record and json.loads(record.data)) == (stored and stored.data)
        if record is not None:
            self.requests.append(Request(name, record, json.loads(record.data)))

    @rule(data=st.data(), age=AGES, merge=st.booleans())
    @precondition(lambda self: self.requests)
    def save(self, data: st.DataObject, age: float, merge: bool) -> None:
        request = self.draw_changed(data)
        theirs, base, mine = self.live(request.name), request.base, request.data
        record = self.do(
            self.sessions.save(request.name, request.known, mine, form(age), conflict="merge" if merge else "overwrite")
        )
        assert (record is None) == (theirs is None)
        if record is None or theirs is None:
            return
        expected = {**mine}
        if merge and mine != base:
            expected = {name: value for name, value in theirs.data.items() if name in mine or name not in base}
            expected |= {name: value for name, value in mine.items() if name not in base or base[name] != value}
        if age > 0:
            assert request.data == expected
            self.keep(request.name, theirs.data if mine == base else expected, age)
        else:
            self.keep(request.name, {}, age)
        request.known, request.base = record, json.loads(record.data)

    @rule(data=st.data())
    @precondition(lambda self: self.requests)
    def delete(self, data: st.DataObject) -> None:
        name = self.draw(data).name
        assert self.do(self.sessions.delete(name)) == (self.live(name) is not None)
        self.model.pop(name, None)

    @rule(data=st.data(), age=AGES)
    @precondition(lambda self: self.requests)
    def cycle(self, data: st.DataObject, age: float) -> None:
        request = self.draw_changed(data)
        old, new = request.name, self.new_name()
        record = self.do(self.sessions.cycle(old, new, request.data, form(age)))
        assert (record is None) == (self.live(old) is None and request.data.get("user", "") != "")
        self.model.pop(old, None)
        if record is not None:
            self.keep(new, request.data, age)
            request.name, request.known, request.base = new, record, dict(request.data)

    @rule(data=st.data(), user=st.sampled_from(USERS[1:]))
    def end_all(self, data: st.DataObject, user: str) -> None:
        keep = data.draw(st.sampled_from([None, *(request.name for request in self.requests)]))
        ended = [name for name in self.of(user) if name != keep]
        assert self.do(self.sessions.end_all(user, keep)) == len(ended)
        for name in ended:
            del self.model[name]

    def of(self, user: str) -> list[str]:
        return [name for name in self.model if (stored := self.live(name)) and stored.data.get("user") == user]

    @invariant()
    def every_session_of_a_user_is_listed(self) -> None:
        for user in USERS[1:]:
            assert sorted(self.do(self.sessions.of_user(user))) == sorted(self.of(user))


class UnderWay(NamedTuple):
    """An operation with its next step, the session that it stores, and when half its age will be over."""

    flow: Flow[Any]
    step: Any
    name: str
    deadline: float


class InAnyOrder(Machine):
    """Many operations are under way at once, each going on by one step at a time; none takes half a session's age."""

    def __init__(self) -> None:
        super().__init__()
        self.under_way: list[UnderWay] = []
        self.gone: set[bytes] = set()

    def advance(self, seconds: float) -> None:
        most = min((each.deadline for each in self.under_way), default=math.inf) - self.clock()
        self.clock.advance(min(seconds, most))

    @rule(user=st.sampled_from(USERS), age=st.sampled_from([20, 100, 400]))
    def create(self, user: str, age: float) -> None:
        name, data = self.new_name(), {"user": user}
        self.requests.append(Request(name, drive(self.sessions.create(name, data, form(age)), self.store), data))

    @rule(data=st.data(), age=AGES, operation=st.sampled_from(["save", "merge", "delete", "cycle", "end_all", "load"]))
    @precondition(lambda self: self.requests and len(self.under_way) < 3)
    def begin(self, data: st.DataObject, age: float, operation: str) -> None:
        request = self.draw_changed(data)
        name, known, mine = request.name, request.known, request.data
        new = self.new_name() if operation == "cycle" else name
        flows: dict[str, Any] = {
            "save": lambda: self.sessions.save(name, known, mine, form(age)),
            "merge": lambda: self.sessions.save(name, known, mine, form(age), conflict="merge"),
            "delete": lambda: self.sessions.delete(name),
            "cycle": lambda: self.sessions.cycle(name, new, mine, form(age)),
            "end_all": lambda: self.sessions.end_all(data.draw(st.sampled_from(USERS[1:]))),
            "load": lambda: self.sessions.load(name),
        }
        flow = flows[operation]()
        self.under_way.append(UnderWay(flow, next(flow), new, self.clock() + max(age, 20) / 2))

    @rule()
    @precondition(lambda self: self.under_way)
    def finish(self) -> None:
        """Let one go on to its end while the others wait."""
        count = len(self.under_way)
        while len(self.under_way) == count:
            self.step_of(self.under_way.pop())

    @rule(data=st.data())
    @precondition(lambda self: self.under_way)
    def step(self, data: st.DataObject) -> None:
        self.step_of(self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1))))

    def step_of(self, going_on: UnderWay) -> None:
        before = set(self.store.keys(PREFIX))
        answer = going_on.step.run(self.store)
        after = set(self.store.keys(PREFIX))
        self.gone |= before - after
        assert not after & self.gone
        try:
            self.under_way.append(going_on._replace(step=going_on.flow.send(answer)))
        except StopIteration as end:
            if isinstance(end.value, Record):
                self.requests.append(Request(going_on.name, end.value, json.loads(end.value.data)))

    @invariant()
    def every_session_of_a_user_is_listed(self) -> None:
        owners: dict[bytes, list[str]] = {user.encode(): [] for user in USERS}
        for key in self.store.keys(PREFIX):
            record = drive(self.sessions.load(name := key[len(PREFIX) :].decode()), self.store)
            assert record is not None
            owners[record.user].append(name)
        for user in USERS[1:]:
            assert drive(self.sessions.of_user(user), self.store) == owners[user.encode()]


TestAgainstAModel = AgainstAModel.TestCase
TestAgainstAModel.settings = settings(max_examples=100, stateful_step_count=40)
TestInAnyOrder = InAnyOrder.TestCase
TestInAnyOrder.settings = settings(max_examples=100, stateful_step_count=60)
