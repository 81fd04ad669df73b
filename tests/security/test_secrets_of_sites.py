"""Passwords, keys and values in whatever a site or a program says when something is wrong with them."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.serializers import JSONSerializer
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from django.views.debug import SafeExceptionReporterFilter
from flask import Flask

from kt_cache.django.sessions import SessionStore
from kt_cache.flask import KTCache
from kt_cache.flask.sessions import KTSessionInterface
from kt_cache.options import AerospikeOptions, EmbeddedOptions, KyotoOptions, Options, TyrantOptions
from kt_cache.stores import open_store
from kt_cache.stores.base import Store
from kt_cache.stores.memory import MemoryStore
from kt_cache.values import Codec, Unreadable
from kt_core import cli
from kt_core.database import Environment
from kt_core.errors import KTError, Misconfigured
from kt_core.server.memcached import MemcachedOptions
from kt_core.tyrant.table import dump_row
from kt_core.wire.kt_binary import NEVER_XT, SetBulk, encode_request
from tests.server.exchange import Wire, connect, rpc
from tests.server.running import serving

SECRET = "hunter2hunter2"
BYTES = SECRET.encode()
URL = f"kt://user:{SECRET}@host"
HERE = "127.0.0.1"
NOBODY = f"{HERE}:1"


def told(caplog: pytest.LogCaptureFixture, error: BaseException | None = None) -> str:
    """Return all that was logged, and that a log may say of an error, with what it came from."""
    records = "".join(map(logging.Formatter("%(message)s %(args)s").format, caplog.records))
    return records if error is None else records + repr(error) + "".join(traceback.format_exception(error))


def told_of(use: Callable[[], object], caplog: pytest.LogCaptureFixture) -> str:
    """Return all that is told while something is done, which may fail."""
    try:
        use()
    except (KTError, TypeError, ValueError) as error:
        return told(caplog, error)
    return told(caplog)


@pytest.fixture(autouse=True)
def every_level(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.DEBUG):
        yield


# -- what a location or an option says ---------------------------------------------------------------------

PLACES = ("embedded://n", "kt://host", "kt+unix:///s", "tt://host", "aerospike://host/ns/set")
KINDS: list[Any] = [Options, EmbeddedOptions, KyotoOptions, TyrantOptions, AerospikeOptions]
NAMES = {field.name for kind in KINDS for field in fields(kind)} | {"passwort", "PASSWORD", "secret_key", "url"}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", sorted(NAMES))
def test_what_an_option_should_not_be_is_not_told(place: str, name: str, caplog: pytest.LogCaptureFixture) -> None:
    for value in (URL, [URL], f"//user:{SECRET}@host", f"{place}?password={SECRET}&user=u"):
        assert SECRET not in told_of(lambda: Options.parse(place, {name: value}, default_name="n"), caplog)  # noqa: B023


@pytest.mark.parametrize("value", [SECRET, BYTES, [SECRET], {"key": SECRET}])
def test_a_key_that_is_given_in_the_wrong_place_is_not_told(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Misconfigured, match="the keys are the site's own") as caught:
        Options.parse("kt://host", {"sign": value}, default_name="n")
    assert SECRET not in told(caplog, caught.value)


@pytest.mark.parametrize("keys", [SECRET, [SECRET], [BYTES, 5], [BYTES, b""]])
def test_keys_that_are_none_are_not_told(keys: Any, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Misconfigured) as caught:
        Codec(signing_keys=keys)
    assert SECRET not in told(caplog, caught.value)


# -- Django and Flask --------------------------------------------------------------------------------------


def entry(location: Any, **options: Any) -> dict[str, Any]:
    return {"default": {"BACKEND": "kt_cache.django.KTCache", "LOCATION": location, "OPTIONS": options}}


@pytest.mark.parametrize(
    "caches_setting",
    [
        entry(f"redis://:{SECRET}@host:6379/0"),
        entry([URL, "kt://other"]),
        entry("kt://host", PASSWORD=SECRET),
        entry("kt://host", password=SECRET),
        entry("kt://host", replicas=[URL]),
        entry(f"aerospike://host/ns?user=u&password={SECRET}"),
        entry("aerospike://host/ns/set", password=SECRET),
        entry("aerospike://host/ns/set", user="u", password=SECRET, timeout="never"),
        entry("kt://host", CONNECTION_POOL_KWARGS={"password": SECRET}),
    ],
)
def test_django_does_not_tell_a_password(caches_setting: Any, caplog: pytest.LogCaptureFixture) -> None:
    with override_settings(CACHES=caches_setting), pytest.raises(ImproperlyConfigured) as caught:
        _ = caches["default"]
    assert SECRET not in told(caplog, caught.value)


def test_djangos_debug_page_hides_a_password_among_the_options() -> None:
    with override_settings(CACHES=entry("aerospike://host/ns/set", user="u", password=SECRET), SECRET_KEY=SECRET):
        shown = SafeExceptionReporterFilter().get_safe_settings()
    assert shown["CACHES"]["default"]["OPTIONS"]["user"] == "u"
    assert SECRET not in repr(shown)


@pytest.mark.parametrize("location", [URL, f"aerospike://host/ns?user=u&password={SECRET}"])
def test_flask_does_not_tell_a_password(location: str, caplog: pytest.LogCaptureFixture) -> None:
    app = Flask(__name__)
    app.config |= {"SECRET_KEY": SECRET, "SESSION_KT_LOCATION": location, "CACHE_KT_LOCATION": location}
    app.config |= {"CACHE_TYPE": "kt_cache.flask.KTCache"}
    for begin in (KTSessionInterface, lambda app: KTCache.factory(app, app.config, [], {})):
        with pytest.raises(Misconfigured) as caught:
            begin(app)
        assert SECRET not in told(caplog, caught.value)


class Strict:
    """A serializer of sessions whose errors have in them what cannot be read."""

    def dumps(self, data: Any) -> bytes:
        return repr(data).encode()

    def loads(self, data: bytes) -> Any:
        return data.decode("ascii")


def read_by_django(serializer: type, content: bytes, directory: Path) -> None:
    with override_settings(CACHES=entry(f"embedded://{directory}/d", max_size="1MiB")):
        session = SessionStore()
        session.serializer = serializer
        session._form.loads(content)


def read_by_flask(name: str, content: bytes, directory: Path) -> None:
    app = Flask(__name__)
    app.config |= {"SESSION_KT_LOCATION": f"embedded://{directory}/s?max_size=1MiB", "SESSION_KT_SERIALIZER": name}
    KTSessionInterface(app)
    app.extensions["kt_cache.sessions"].form.loads(content)


@pytest.mark.parametrize("content", [b"\xff" + BYTES, b'{"a": "' + BYTES, b"\xda\0\x0f\xff" + BYTES])
@pytest.mark.parametrize(
    ("read", "serializer"),
    [
        (read_by_django, Strict),
        (read_by_django, JSONSerializer),
        (read_by_flask, "json"),
        (read_by_flask, "msgpack"),
    ],
)
def test_a_session_that_cannot_be_read_is_not_told(
    read: Callable[[Any, bytes, Path], None], serializer: Any, content: bytes, tmp_path: Path
) -> None:
    with pytest.raises(Unreadable) as caught:
        read(serializer, content, tmp_path)
    assert SECRET not in repr(caught.value) + str(caught.value)
    Environment.close_below(tmp_path)


# -- stores that fail ----------------------------------------------------------------------------------------

SESSION = b"session " + BYTES  # whoever knows it is let in
OUT_OF_ORDER = [f"kt://{NOBODY}", f"tt://{NOBODY}", f"aerospike://{NOBODY}/ns/set?user=u&password={SECRET}"]


@pytest.mark.parametrize("on_error", ["raise", "miss"])
@pytest.mark.parametrize("location", OUT_OF_ORDER)
def test_a_store_that_is_out_of_order_tells_no_password_no_key_and_no_value(
    location: str, on_error: str, caplog: pytest.LogCaptureFixture
) -> None:
    options = Options.parse(location, {"on_error": on_error}, default_name="n")
    store = open_store(options)
    uses: list[Callable[[], object]] = [
        lambda: store.set(SESSION, BYTES, None),
        lambda: store.add(SESSION, BYTES, 5),
        lambda: store.set_many({SESSION: BYTES}, None),
        lambda: store.compare_and_set(SESSION, BYTES, BYTES, None),
        store.ping,
    ]
    for use in uses:
        assert SECRET not in told_of(use, caplog)
    assert SECRET not in repr(store) + repr(options) + told(caplog)


def full(directory: Path) -> Store:
    location = f"embedded://{directory}/full?max_size=1MiB&eviction=none"
    return open_store(Options.parse(location, {}, default_name="n"))


@pytest.mark.parametrize("make", [full, lambda _: MemoryStore()])
def test_a_store_that_refuses_a_value_tells_neither_it_nor_its_key(
    make: Callable[[Path], Store], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = make(tmp_path)
    store.set(SESSION, BYTES, None)
    refused: list[Callable[[], object]] = [
        lambda: store.incr(SESSION, 1),
        lambda: store.set(SESSION + b"s", BYTES * 1_000_000, None),
        lambda: store.set(SESSION, BYTES, float("nan")),
    ]
    for use in refused:
        assert SECRET not in told_of(use, caplog)
    Environment.close_below(tmp_path)


class Held:
    """What no serializer keeps; its text has the secret."""

    def __repr__(self) -> str:
        return SECRET

    def __reduce__(self) -> str:
        raise TypeError("this is not kept")


@pytest.mark.parametrize("serializer", ["pickle", "msgpack", "json", "raw"])
def test_a_value_that_no_serializer_keeps_is_not_told(serializer: str, caplog: pytest.LogCaptureFixture) -> None:
    for value in (Held(), {"password": SECRET, "more": Held()}, [SECRET, Held()], {SECRET: {Held(): 1}}):
        with pytest.raises((KTError, TypeError, ValueError)) as caught:
            Codec(serializer=serializer).dumps(value, b"k")  # type: ignore[arg-type]
        assert SECRET not in told(caplog, caught.value)


def test_a_column_that_cannot_be_stored_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(KTError) as caught:
        dump_row({"password": f"{SECRET}\0"})
    assert SECRET not in told(caplog, caught.value)


# -- programs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["get", "k"], ["status", "--json"], ["set", "k", SECRET], ["count"], ["keys"]])
@pytest.mark.parametrize(
    "url",
    [
        URL,
        f"kt://user:{SECRET}@{NOBODY}",
        f"redis://:{SECRET}@host",
        f"kt://{NOBODY}?password={SECRET}",
        f"kt://{NOBODY},{NOBODY}/0?password={SECRET}",
        f"aerospike://host/ns/set?user=u&password={SECRET}",
        f"kt://{NOBODY}?timeout=1&password={SECRET}&database=x",
        f"kt://{NOBODY}",
    ],
)
def test_the_command_line_tells_no_password_and_no_value(
    url: str, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(command, {"KT_URL": url}) != 0
    assert SECRET not in "".join(capsys.readouterr())


SENT = [
    encode_request(SetBulk(((0, b"k", BYTES, NEVER_XT),))),
    encode_request(SetBulk(((0, b"k", BYTES * 100_000, NEVER_XT),))),
    rpc("set", key="k", value=SECRET),
    rpc("increment", key="k", num=1),
    rpc("cas", key="k", oval=SECRET, nval=SECRET),
    b"GET /rpc/set?key=k&value=%b HTTP/1.1\r\n\r\n" % BYTES,
    b"PUT /k HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(BYTES), BYTES),
]


@pytest.mark.parametrize("sent", SENT, ids=range(len(SENT)))
def test_a_servers_log_tells_no_value(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with serving("%#max_size=1m") as server, connect(server) as wire:
        wire.send(sent)
        wire.end()
        wire.rest()
    assert SECRET not in told(caplog)
    assert "k" in caplog.text


@pytest.mark.parametrize("value", [b"%b", b"\r\n%b", b"%b\r\nget k"])
@pytest.mark.parametrize("size", [len(BYTES), 0])
def test_the_log_of_memcacheds_clients_tells_no_value(
    value: bytes, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither does it where the length is wrong, and the value is taken for a command."""
    with serving("%", memcached=MemcachedOptions(port=0)) as server, Wire((HERE, server.memcached_port)) as wire:
        wire.send(b"set k 0 0 %d\r\n%b\r\nquit\r\n" % (size, value % BYTES))
        wire.end()
        wire.rest()
    assert "connected" in caplog.text
    assert SECRET not in told(caplog)
