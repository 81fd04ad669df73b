"""Sessions while servers are out of order, and while everybody wants the same one at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings

from kt_cache.django import sessions as engine
from kt_cache.django.sessions import SessionStore, log_out_everywhere, sessions_of
from kt_core.errors import ConnectionFailed, KTError
from tests import processes
from tests.adapters.sessions import again, awaited, embedded_sessions, sessions_at, stored, waiting
from tests.fix_servers import KINDS, running


@pytest.fixture(params=[waiting, awaited])
def call(request: pytest.FixtureRequest) -> Any:
    """Return a function that calls a session's method, once as it is and once its awaited twin."""
    return request.param


# -- a server that is not there ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("on_error", ["raise", "miss"])
def test_an_outage_is_an_error_and_no_logout(
    tmp_path: Path, call: Callable[..., Any], kind: str, on_error: str
) -> None:
    database = str(tmp_path / "sessions.kct")
    options = {"on_error": on_error, "timeout": 30}
    with running(kind, databases=[database]) as address, sessions_at(f"kt://{address}", OPTIONS=options):
        session = stored(call, _auth_user_id="7", a=1)
        loaded = again(session)
        assert call(loaded, "get", "a") == 1
    with sessions_at(f"kt://{address}", OPTIONS=options):
        other = again(session)
        loaded["a"] = 2
        for attempt in [
            lambda: call(other, "load"),
            lambda: call(loaded, "save"),
            lambda: call(SessionStore(), "save"),
            lambda: call(other, "exists", other.session_key),
            lambda: call(other, "delete"),
            lambda: call(other, "cycle_key"),
            lambda: call(engine, "sessions_of", "7"),
            lambda: call(engine, "log_out_everywhere", "7"),
        ]:
            with pytest.raises(ConnectionFailed):
                attempt()
            assert other.session_key == session.session_key
        with running(kind, address=address, databases=[database]):
            assert call(other, "get", "a") == 1
            call(loaded, "save")
            assert again(session)["a"] == 2
            assert sessions_of(7) == [session.session_key]


def test_without_a_server_a_request_fails_and_its_cookie_stays() -> None:
    with running("bundled") as address:
        pass
    request = RequestFactory().get("/")
    request.COOKIES["sessionid"] = "s" * 32

    def view(request: HttpRequest) -> HttpResponse:
        request.session["a"] = 1
        return HttpResponse("")

    with sessions_at(f"kt://{address}"), pytest.raises(ConnectionFailed):
        SessionMiddleware(view)(request)


def test_a_dead_server_s_sessions_do_not_move_to_the_others() -> None:
    quick = {"retry_attempts": 0, "retry_timeout": 0.001, "timeout": 30}
    with running("bundled") as first:
        with running("bundled") as second, sessions_at(f"kt://{first},{second}", OPTIONS=quick):
            sessions = [stored(_auth_user_id="7", number=number) for number in range(20)]
        # The second has gone. A cache takes what was there for missing, once it has found out.
        with sessions_at(f"kt://{first},{second}", OPTIONS=quick):
            cache = caches["default"]
            there = []
            for _ in range(3):
                there.append([_is_there(session) for session in sessions])
            assert there[0] == there[1] == there[2]
            assert set(there[0]) == {True, False}
            with pytest.raises(KTError):
                log_out_everywhere(7)
            for session, is_there in zip(sessions, there[0], strict=True):
                if not is_there:
                    with pytest.raises(KTError):
                        cache.get(session.cache_key)
                    assert cache.get(session.cache_key) is None
                    break


def _is_there(session: SessionStore) -> bool:
    try:
        return again(session).get("number") == session["number"]
    except ConnectionFailed:
        return False


# -- everybody at once -------------------------------------------------------------------------------------

SAVER = """
import sys
from django.conf import settings
settings.configure(
    SECRET_KEY="for tests alone",
    CACHES={"default": {"BACKEND": "kt_cache.django.KTCache", "LOCATION": sys.argv[1],
                        "OPTIONS": {"max_size": 4 << 20}}},
    KT_SESSION_MERGE=True,
)
from kt_cache.django.sessions import SessionStore, UpdateError
saved = 0
try:
    while True:
        session = SessionStore(sys.argv[2])
        session.setdefault("counts", 0)
        if session.session_key is None:
            break
        session[sys.argv[3]] = saved = saved + 1
        session.save()
        if saved == 5:
            print("saving", flush=True)
except UpdateError:
    pass
print(saved)
"""


def test_no_process_brings_back_a_session_that_was_logged_out(tmp_path: Path) -> None:
    with embedded_sessions(tmp_path):
        session = stored(_auth_user_id="7")
        location = f"embedded://{tmp_path}/cache"
        with (
            processes.running(SAVER, location, session.session_key, "one") as one,
            processes.running(SAVER, location, session.session_key, "two") as two,
        ):
            for saver in one, two:
                assert saver.stdout is not None
                assert saver.stdout.readline() == "saving\n"
            both = again(session).load()
            assert both["one"] >= 5
            assert both["two"] >= 5
            assert log_out_everywhere(7) == 1
            for saver in one, two:
                output, _ = saver.communicate(timeout=60)
                assert int(output) >= 5
        assert again(session).load() == {}
        assert sessions_of(7) == []


@pytest.mark.parametrize("kind", ["embedded", *KINDS])
def test_threads_keep_each_other_s_changes(tmp_path: Path, request: pytest.FixtureRequest, kind: str) -> None:
    place = embedded_sessions(tmp_path)
    if kind != "embedded":
        place = sessions_at(f"kt://{request.getfixturevalue('start_kyoto')(kind)}", OPTIONS={"timeout": 30})
    with place, override_settings(KT_SESSION_MERGE=True):
        session = stored()
        errors: list[BaseException] = []

        def work(name: str) -> None:
            try:
                for number in range(10):
                    own = again(session)
                    own[name] = number
                    own.save()
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(f"thread{number}",)) for number in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert again(session).load() == {f"thread{number}": 9 for number in range(5)}


@pytest.mark.parametrize("kind", ["embedded", *KINDS])
def test_tasks_keep_each_other_s_changes(tmp_path: Path, request: pytest.FixtureRequest, kind: str) -> None:
    place = embedded_sessions(tmp_path)
    if kind != "embedded":
        place = sessions_at(f"kt://{request.getfixturevalue('start_kyoto')(kind)}", OPTIONS={"timeout": 30})
    with place, override_settings(KT_SESSION_MERGE=True):
        session = stored()

        async def work(name: str) -> None:
            for number in range(5):
                own = again(session)
                await own.aset(name, number)
                await own.asave()

        async def everybody() -> None:
            await asyncio.gather(*(work(f"task{number}") for number in range(5)))

        asyncio.run(everybody())
        assert again(session).load() == {f"task{number}": 4 for number in range(5)}


FORKER = """
import os, sys
from django.conf import settings
settings.configure(
    SECRET_KEY="for tests alone",
    CACHES={"default": {"BACKEND": "kt_cache.django.KTCache", "LOCATION": sys.argv[1]}},
)
from kt_cache.django.sessions import SessionStore
session = SessionStore()
session["a"] = 1
session.save()
child = os.fork()
own = SessionStore(session.session_key)
own["child" if child == 0 else "parent"] = own["a"]
if child:
    os.waitpid(child, 0)
    own = SessionStore(session.session_key)
    own["parent"] = 1
own.save()
if child:
    print(sorted(SessionStore(session.session_key).keys()))
"""


def test_a_process_that_was_forked_goes_on(tmp_path: Path) -> None:
    assert processes.python("-c", FORKER, f"embedded://{tmp_path}/cache") == "['a', 'child', 'parent']\n"


def test_a_session_that_is_saved_and_ended_at_once_is_gone(tmp_path: Path) -> None:
    with embedded_sessions(tmp_path):
        for _ in range(20):
            session = stored(_auth_user_id="7")
            begin = threading.Barrier(2)

            def save(own: SessionStore, begin: threading.Barrier) -> None:
                begin.wait()
                own["a"] = 1
                try:
                    own.save()
                except UpdateError:
                    own.clear()

            thread = threading.Thread(target=save, args=(again(session), begin))
            thread.start()
            begin.wait()
            log_out_everywhere(7)
            thread.join()
            assert again(session).load() == {}
            assert sessions_of(7) == []
