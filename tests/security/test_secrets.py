"""Keys, passwords and values are in no message, whatever fails: logs, errors, texts of objects, pages."""

from __future__ import annotations

import json
import logging
import pickle
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest

from kt_cache.inspector import Subject, describe
from kt_cache.options import Options
from kt_cache.reading import complain_once
from kt_cache.stores.memory import MemoryStore
from kt_cache.values import Codec, Unreadable
from kt_core.errors import KTError, Misconfigured
from kt_core.locations import without_password

SECRET = "hunter2hunter2"
BYTES = SECRET.encode()
KEY = b"the key of signatures"


def forms() -> dict[str, bytes]:
    """Values that say the secret, and that no codec of the tests reads."""
    extended = [msgpack.ExtType(code, b"") for code in range(14)]
    return {
        "text that is none": b"\x10" + b"\xff" + BYTES,
        "json that is none": b"\x10" + json.dumps(SECRET).encode() + b"x",
        "msgpack and more": b"\x20" + msgpack.packb(SECRET) + b"x",
        "not utf-8": b"\x20" + msgpack.packb(SECRET)[:1] + b"\xff" + BYTES,
        **{f"extension {mark.code}": b"\x20" + msgpack.packb([mark, SECRET, SECRET]) for mark in extended[4:]},
        "pickle": pickle.dumps(SECRET),
        "compressed": b"\x12" + BYTES,
        "signed": Codec(serializer="json", signing_keys=[b"another"]).dumps(SECRET, b"k"),  # type: ignore[dict-item]
        "terms": b"\x50\0\xff" + BYTES,
    }


@pytest.mark.parametrize("signing", [(), (KEY,)])
@pytest.mark.parametrize("form", forms())
def test_a_value_that_cannot_be_read_is_not_told(
    form: str, signing: tuple[bytes, ...], caplog: pytest.LogCaptureFixture
) -> None:
    codec = Codec(serializer="msgpack", accept=["json"], signing_keys=signing)
    with pytest.raises(Unreadable) as caught:
        codec.loads(forms()[form], b"k")
    complain_once(str(caught.value))
    told = repr(caught.value) + caplog.text
    assert SECRET not in told
    assert KEY.decode() not in told


def test_keys_are_no_part_of_a_codecs_text() -> None:
    codec = Codec(signing_keys=[KEY])
    assert KEY.decode() not in repr(codec) + repr(vars(codec))


LOCATIONS = [
    f"redis://:{SECRET}@host:6379/0",
    f"redis://user:a@{SECRET}@host:6379/0",
    f"redis://user:a/{SECRET}@host:6379/0",
    f"rediss://user:{SECRET}@host,rediss://user:{SECRET}@other",
    f"kt://user:{SECRET}@host",
    f"user:{SECRET}@host:1978",
    f"aerospike://host/test?password={SECRET}&user=u",
    f"aerospike://host/test/set?password={SECRET}",
    f"aerospike://host/test/set?password={SECRET}&user=u&timeout=never",
    [f"kt://user:{SECRET}@host", "kt://other"],
]


@pytest.mark.parametrize("location", LOCATIONS, ids=str)
def test_a_password_in_a_location_is_not_told(location: Any) -> None:
    with pytest.raises(Misconfigured) as caught:
        Options.parse(location, {}, default_name="name")
    assert SECRET not in repr(caught.value)


def test_where_no_password_is_nothing_is_hidden() -> None:
    text = "the location 'embedded:///srv/a@b' and kt://host:1978/0"
    assert without_password(text) == text


def test_a_password_is_no_part_of_options_and_pages() -> None:
    options = Options.parse(f"aerospike://host/test/set?user=u&password={SECRET}", {}, default_name="name")
    subject = Subject("main", MemoryStore(), describe(options))
    assert SECRET not in repr(options) + repr(subject) + str(dict(subject.settings))


def test_what_a_store_refuses_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    store.set(b"k", BYTES, None)
    with caplog.at_level(logging.DEBUG), pytest.raises(KTError) as caught:
        store.incr(b"k", 1)
    assert SECRET not in repr(caught.value) + caplog.text
