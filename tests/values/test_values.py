"""The stored form: round trips, who may read what, signatures, and never a counter's length."""

from __future__ import annotations

import contextlib
import enum
import itertools
import pickle
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kt_cache.serializers import Pickle
from kt_cache.values import Codec, Conditional, Unreadable
from kt_core.errors import KTError, Misconfigured

from . import INSTALLED, MISSING, RICH_VALUES, VALUES, exact
from .test_serializers import UPPER

KEY, OLD_KEY, OTHER_KEY = b"current", b"retired", b"stranger"
AT = b"where the value is"
COMPRESSIONS = [None, *INSTALLED]
SIGNINGS: list[list[bytes]] = [[], [KEY]]
CONFIGURATIONS = list(itertools.product(VALUES, COMPRESSIONS, SIGNINGS))
# A payload of every serializer that any compressor can shrink.
LONG = b"kt-cache " * 300
LONG_VALUES = {"pickle": LONG, "msgpack": LONG, "raw": LONG, "json": LONG.decode()}

tripped: list[str] = []


def trip() -> None:
    tripped.append("unpickled")


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __reduce__(self) -> Any:
        return trip, ()


@pytest.fixture(autouse=True)
def _no_trace() -> None:
    tripped.clear()


class Colour(enum.IntEnum):
    RED = 1


class Big(int):
    pass


class Exploding:
    """A custom serializer that fails in its own way."""

    def dumps(self, value: Any) -> bytes:
        return b"x"

    def loads(self, data: bytes) -> Any:
        raise ZeroDivisionError


# value, serializer, the whole stored form
FORMS: list[tuple[Any, str, bytes | int]] = [
    (0, "pickle", 0),
    (2**63 - 1, "json", 2**63 - 1),
    (-(2**63), "raw", -(2**63)),
    (None, "pickle", b"\x80\x05N."),
    (b"", "raw", b"\x00"),
    (b"123456", "raw", b"\x00123456"),
    (b"1234567", "raw", b"\x40\x001234567"),
    (b"12345678", "raw", b"\x0012345678"),
    (b"\x40" * 8, "raw", b"\x00" + b"\x40" * 8),
    (None, "json", b"\x10null"),
    ("12345", "json", b'\x40\x10"12345"'),
    (2**63, "json", b"\x109223372036854775808"),
    (True, "msgpack", b"\x20\xc3"),
    ("123456", "msgpack", b"\x40\x20\xa6123456"),
]


class TestForm:
    @pytest.mark.parametrize(("value", "serializer", "stored"), FORMS)
    def test_both_ways(self, value: Any, serializer: str, stored: bytes | int) -> None:
        codec = Codec(serializer=serializer)
        assert exact(codec.dumps(value, AT)) == exact(stored)
        assert exact(codec.loads(stored, AT)) == exact(value)

    def test_header_names_what_wrote_it(self) -> None:
        for compression, bits in [("zlib", 1), ("lzma", 2), ("bz2", 3)]:
            for serializer, number in [("raw", 0), ("json", 1), ("msgpack", 2), ("pickle", 3)]:
                for keys in SIGNINGS:
                    codec = Codec(serializer=serializer, compression=compression, signing_keys=keys)
                    stored = codec.dumps(LONG_VALUES[serializer], AT)
                    assert isinstance(stored, bytes)
                    assert stored[0] == number << 4 | bits << 1 | bool(keys)
        assert Codec(serializer=UPPER).dumps("a", AT) == b"\x70A"

    def test_default_is_the_pickle_itself(self) -> None:
        value = {"a": [1, 2.5, None]}
        for codec in (Codec(), Codec(compression="zlib")):
            assert codec.dumps(value, AT) == pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
            assert codec.loads(pickle.dumps(value, 2), AT) == value

    @pytest.mark.parametrize("compression", [None, "zlib"])
    def test_pickle_of_eight_bytes_gets_one_more(self, compression: str | None) -> None:
        # Protocol 4 and later never make one: their frames begin at 15 bytes.
        codec = Codec(serializer=Pickle(2), compression=compression)
        assert len(pickle.dumps((1,), 2)) == 8
        assert codec.dumps((1,), AT) == pickle.dumps((1,), 2) + b"."
        assert Codec().loads(codec.dumps((1,), AT), AT) == (1,)

    @pytest.mark.parametrize("value", [True, False, Colour.RED, Big(5), 2**63, -(2**63) - 1, 10**400])
    @pytest.mark.parametrize("keys", SIGNINGS)
    def test_other_integers_are_not_counters(self, value: int, keys: list[bytes]) -> None:
        codec = Codec(signing_keys=keys)
        stored = codec.dumps(value, AT)
        assert isinstance(stored, bytes)
        assert exact(codec.loads(stored, AT)) == exact(value)

    @pytest.mark.parametrize("keys", SIGNINGS)
    def test_counters_are_read_by_everyone(self, keys: list[bytes]) -> None:
        for serializer in VALUES:
            codec = Codec(serializer=serializer, signing_keys=keys, compression="zlib")
            for number in (0, 1, -1, 2**63 - 1, -(2**63)):
                assert codec.dumps(number, AT) is number
                assert codec.loads(number, AT) is number

    def test_compresses_from_the_threshold_and_only_when_smaller(self) -> None:
        def header(data: bytes, at_least: int) -> int:
            stored = Codec(serializer="raw", compression="zlib", compress_min_length=at_least).dumps(data, AT)
            assert isinstance(stored, bytes)
            return stored[0]

        assert header(b"a" * 100, 100) == 0x02
        assert header(b"a" * 99, 100) == 0x00
        assert header(bytes(range(256)), 0) == 0x00
        assert header(b"", 0) == 0x00

    def test_level_is_used(self) -> None:
        fast, small = (
            Codec(serializer="raw", compression="zlib", compress_level=level).dumps(LONG, AT) for level in (0, 9)
        )
        assert fast == b"\x00" + LONG
        assert small == b"\x02" + zlib.compress(LONG, 9)


class TestRoundTrip:
    @pytest.mark.parametrize(("serializer", "compression", "keys"), CONFIGURATIONS)
    def test_exact_and_never_a_counters_length(
        self, serializer: str, compression: str | None, keys: list[bytes]
    ) -> None:
        codec = Codec(serializer=serializer, compression=compression, compress_min_length=0, signing_keys=keys)

        @settings(max_examples=30)
        @given(VALUES[serializer])
        def check(value: Any) -> None:
            stored = codec.dumps(value, AT)
            assert isinstance(stored, int) or len(stored) != 8
            assert exact(codec.loads(stored, AT)) == exact(value)

        check()

    @pytest.mark.parametrize("serializer", ["raw", "json", "msgpack"])
    def test_every_length_around_a_counter(self, serializer: str) -> None:
        codec = Codec(serializer=serializer)
        for length in range(12):
            text = "x" * length
            value = text.encode() if serializer == "raw" else text
            stored = codec.dumps(value, AT)
            assert isinstance(stored, bytes)
            assert len(stored) != 8
            assert codec.loads(stored, AT) == value

    @settings(max_examples=200)
    @given(RICH_VALUES)
    def test_default(self, value: Any) -> None:
        stored = Codec().dumps(value, AT)
        assert isinstance(stored, int) or len(stored) != 8
        assert exact(Codec().loads(stored, AT)) == exact(value)

    def test_one_codec_serves_many_threads(self) -> None:
        codec = Codec(serializer="msgpack", compression="zlib", compress_min_length=0, signing_keys=[KEY])
        values = [("x" * n, n) for n in range(300)]
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda value: codec.loads(codec.dumps(value, AT), AT), values)) == values


class TestWhoReadsWhat:
    @pytest.mark.parametrize("keys", SIGNINGS)
    def test_every_configuration_reads_what_the_others_wrote(self, keys: list[bytes]) -> None:
        settings_of: list[dict[str, Any]] = [
            {"serializer": serializer, "compression": compression, "compress_min_length": least}
            for serializer, compression, least in itertools.product(VALUES, COMPRESSIONS, (0, 10**6))
        ]
        writers: list[Any] = [(one["serializer"], Codec(**one, signing_keys=keys)) for one in settings_of]
        written = [(LONG_VALUES[name], codec.dumps(LONG_VALUES[name], AT)) for name, codec in writers]
        for one in settings_of:
            reader = Codec(**one, signing_keys=keys, accept=VALUES)
            for value, stored in written:
                assert reader.loads(stored, AT) == value

    @pytest.mark.parametrize("reader", ["raw", "json", "msgpack", UPPER])
    @pytest.mark.parametrize("keys", SIGNINGS)
    def test_safe_formats_are_always_read_and_pickle_only_when_allowed(self, reader: Any, keys: list[bytes]) -> None:
        for writer in VALUES:
            value = LONG_VALUES[writer]
            stored = Codec(serializer=writer, signing_keys=keys).dumps(value, AT)
            allowed = Codec(serializer=reader, accept=["pickle", *VALUES], signing_keys=keys)
            assert allowed.loads(stored, AT) == value
            default = Codec(serializer=reader, signing_keys=keys)
            if writer == "pickle":
                with pytest.raises(Unreadable, match="serializer 'pickle'; to read it, add it"):
                    default.loads(stored, AT)
            else:
                assert default.loads(stored, AT) == value

    def test_accept_is_the_whole_list(self) -> None:
        codec = Codec(serializer="json", accept=["msgpack"])
        assert codec.loads(b"\x10null", AT) is None
        assert codec.loads(b"\x20\xc0", AT) is None
        with pytest.raises(Unreadable, match="serializer 'raw'"):
            codec.loads(b"\x00abc", AT)

    def test_custom_is_read_by_custom_alone(self) -> None:
        assert Codec(serializer=UPPER).loads(b"\x70abc", AT) == "abc"
        with pytest.raises(Unreadable, match="serializer 'custom'"):
            Codec(accept=VALUES).loads(b"\x70abc", AT)

    @pytest.mark.parametrize(
        "stored",
        [
            pickle.dumps(Bomb()),
            b"\x30" + pickle.dumps(Bomb()),
            b"\x32" + zlib.compress(pickle.dumps(Bomb())),
            Codec(signing_keys=[KEY]).dumps(Bomb(), AT),
            Codec(signing_keys=[KEY], compression="zlib", compress_min_length=0).dumps([Bomb()] * 99, AT),
        ],
        ids=["plain", "named", "compressed", "signed", "signed and compressed"],
    )
    def test_a_refused_pickle_is_not_executed(self, stored: bytes) -> None:
        refusing: list[dict[str, Any]] = [
            {"serializer": "json"},
            {"serializer": "msgpack", "accept": ["raw", "json"]},
            {"serializer": UPPER},
            {"serializer": "json", "signing_keys": [KEY]},
            {"signing_keys": [OTHER_KEY]},
            {"signing_keys": [OTHER_KEY], "accept": VALUES},
        ]
        for configuration in refusing:
            with pytest.raises(Unreadable):
                Codec(**configuration).loads(stored, AT)
        assert tripped == []
        reader = Codec(signing_keys=[KEY]) if stored[0] & 1 else Codec()
        reader.loads(stored, AT)
        assert tripped  # it was live

    def test_an_eight_byte_pickle_behind_a_pad_is_refused_like_any_other(self) -> None:
        stored = b"\x40" + pickle.dumps((1,), 2)
        assert len(stored) == 9
        for codec in (Codec(serializer="json"), Codec(signing_keys=[KEY])):
            with pytest.raises(Unreadable):
                codec.loads(stored, AT)


class TestSigning:
    @pytest.mark.parametrize("serializer", VALUES)
    @pytest.mark.parametrize("compression", [None, "zlib"])
    def test_any_changed_byte_is_noticed(self, serializer: str, compression: str | None) -> None:
        codec = Codec(serializer=serializer, compression=compression, signing_keys=[KEY], accept=VALUES)
        stored = codec.dumps(LONG_VALUES[serializer], AT)
        assert isinstance(stored, bytes)
        short = Codec(serializer=serializer, signing_keys=[KEY]).dumps(LONG_VALUES[serializer][:3], AT)
        assert isinstance(short, bytes)
        for whole in (stored[:60], short) if compression is None else (stored, short):
            for position in range(len(whole)):
                for flip in (0x01, 0x40, 0x80):
                    tampered = bytearray(whole)
                    tampered[position] ^= flip
                    with pytest.raises(Unreadable):
                        codec.loads(bytes(tampered), AT)
            for end in range(len(whole)):
                with pytest.raises(Unreadable):
                    codec.loads(whole[:end], AT)
            with pytest.raises(Unreadable):
                codec.loads(whole + b".", AT)

    def test_every_other_header_is_noticed(self) -> None:
        codec = Codec(signing_keys=[KEY], accept=VALUES)
        stored = codec.dumps(None, AT)
        assert isinstance(stored, bytes)
        for header in set(range(256)) - {stored[0]}:
            with pytest.raises(Unreadable):
                codec.loads(bytes((header,)) + stored[1:], AT)

    def test_rotation(self) -> None:
        before, during, after = (Codec(signing_keys=keys) for keys in ([OLD_KEY], [KEY, OLD_KEY], [KEY]))
        assert during.loads(before.dumps("value", AT), AT) == "value"
        assert during.dumps("value", AT) == after.dumps("value", AT) != before.dumps("value", AT)
        for reader, writer in ((after, before), (before, during)):
            with pytest.raises(Unreadable, match="fits none of the keys"):
                reader.loads(writer.dumps("value", AT), AT)

    def test_unsigned_is_refused_when_signing(self) -> None:
        codec = Codec(signing_keys=[KEY], accept=VALUES)
        for serializer in VALUES:
            with pytest.raises(Unreadable, match="not signed"):
                codec.loads(Codec(serializer=serializer).dumps(LONG_VALUES[serializer], AT), AT)

    def test_signed_is_refused_without_keys(self) -> None:
        with pytest.raises(Unreadable, match="no signing key"):
            Codec().loads(Codec(signing_keys=[KEY]).dumps("value", AT), AT)

    def test_a_value_put_under_another_key_is_refused(self) -> None:
        codec = Codec(signing_keys=[KEY])
        for other in (b"", AT[:-1], AT + b"!", b"elsewhere"):
            with pytest.raises(Unreadable, match="signature"):
                codec.loads(codec.dumps("value", AT), other)

    def test_keys_and_values_are_told_apart(self) -> None:
        codec = Codec(serializer="raw", signing_keys=[KEY])
        signature = codec.dumps(b"b", b"a")
        assert isinstance(signature, bytes)
        with pytest.raises(Unreadable, match="signature"):
            codec.loads(signature[:17], b"ab")

    @pytest.mark.parametrize("keys", [[], [KEY], [KEY, OLD_KEY]])
    @pytest.mark.parametrize("value", ["text", 5, None, b"1234567"])
    def test_a_value_can_be_moved_to_another_key(self, value: Any, keys: list[bytes]) -> None:
        codec, writer = Codec(signing_keys=keys), Codec(signing_keys=keys[-1:])
        moved = codec.rekey(writer.dumps(value, AT), AT, b"there")
        assert exact(moved) == exact(codec.dumps(value, b"there"))
        assert exact(codec.loads(moved, b"there")) == exact(value)

    def test_what_is_not_vouched_for_is_not_moved(self) -> None:
        codec = Codec(signing_keys=[KEY])
        with pytest.raises(Unreadable, match="signature"):
            codec.rekey(codec.dumps("value", b"elsewhere"), AT, b"there")

    def test_verified_before_anything_is_expanded(self) -> None:
        with pytest.raises(Unreadable, match="signature"):
            Codec(signing_keys=[KEY]).loads(b"\x33" + bytes(16) + b"not zlib", AT)

    @pytest.mark.parametrize("keys", [b"key", "key", ["key"], [b""], [KEY, None]])
    def test_keys_are_checked(self, keys: Any) -> None:
        with pytest.raises(Misconfigured, match="signing_keys is a list of keys"):
            Codec(signing_keys=keys)


class TestTerms:
    @pytest.mark.parametrize("keys", SIGNINGS)
    @pytest.mark.parametrize("terms", [b"", b"terms", b"t" * 65535])
    @pytest.mark.parametrize("value", [5, -(2**63), "text", None, b"1234567", 2**70, LONG])
    def test_a_value_comes_back_with_its_terms(self, value: Any, terms: bytes, keys: list[bytes]) -> None:
        codec = Codec(signing_keys=keys, compression="zlib")
        stored = codec.dumps_with(terms, value, AT)
        assert len(stored) != 8
        with pytest.raises(Conditional) as caught:
            codec.loads(stored, AT)
        assert caught.value.terms == terms
        assert exact(caught.value.load()) == exact(value)

    @pytest.mark.parametrize("length", range(12))
    def test_every_length_around_a_counter(self, length: int) -> None:
        codec = Codec(serializer="raw")
        stored = codec.dumps_with(b"", b"x" * length, AT)
        assert len(stored) != 8
        with pytest.raises(Conditional) as caught:
            codec.loads(stored, AT)
        assert caught.value.load() == b"x" * length

    def test_terms_are_signed(self) -> None:
        codec = Codec(signing_keys=[KEY])
        stored = codec.dumps_with(b"terms", "value", AT)
        with pytest.raises(Unreadable, match="signature"):
            codec.loads(stored.replace(b"terms", b"other"), AT)
        with pytest.raises(Unreadable, match="signature"):
            codec.loads(stored, b"elsewhere")
        with pytest.raises(Unreadable, match="not signed"):
            codec.loads(Codec().dumps_with(b"terms", "value", AT), AT)

    def test_what_may_not_be_read_is_not_read_with_terms_either(self) -> None:
        with pytest.raises(Conditional) as caught:
            Codec(serializer="json").loads(Codec().dumps_with(b"", Bomb(), AT), AT)
        with pytest.raises(Unreadable, match="pickle"):
            caught.value.load()
        assert not tripped

    @pytest.mark.parametrize("stored", [b"\x50", b"\x50\0", b"\x50\0\0", b"\x50\0\5terms", b"\x50\0\5ter"])
    def test_damage_is_noticed(self, stored: bytes) -> None:
        with pytest.raises(Unreadable, match="damaged terms"):
            Codec().loads(stored, AT)


class TestUnreadable:
    def test_is_an_error_of_ours(self) -> None:
        assert issubclass(Unreadable, KTError)

    @pytest.mark.parametrize(
        ("stored", "message"),
        [
            (b"", "empty value"),
            (b"\x40abc", "header 0x40"),
            (b"\x40\x40abcdefg", "header 0x40"),
            (b"\x42abc", "header 0x42"),
            (b"\x50abc", "damaged terms"),
            (b"\x52\0\0\x80", "header 0x52"),
            (b"\x60abc", "header 0x60"),
            (b"\x81abc", "header 0x81"),
            (b"\xffabc", "header 0xff"),
            (b"\x0eabc", "compression 7"),
            (b"\x10", "damaged json"),
            (b"\x10{", "damaged json"),
            (b"\x10\xff", "damaged json"),
            (b"\x20", "damaged msgpack"),
            (b"\x20\x92\x01", "damaged msgpack"),
            (b"\x02abc", "compressed with zlib"),
            (b"\x04abc", "compressed with lzma"),
            (b"\x06abc", "compressed with bz2"),
            (b"\x08abc", "compressed with lz4"),
            (b"\x0aabc", "compressed with zstd"),
            (b"\x0cabc", "compressed with brotli"),
        ],
    )
    def test_says_what_is_wrong(self, stored: bytes, message: str) -> None:
        for serializer in VALUES:
            with pytest.raises(Unreadable, match=message):
                Codec(serializer=serializer).loads(stored, AT)

    @pytest.mark.parametrize("compression", INSTALLED)
    @pytest.mark.parametrize("serializer", VALUES)
    def test_truncated_compressed_values(self, serializer: str, compression: str) -> None:
        codec = Codec(serializer=serializer, compression=compression)
        stored = codec.dumps(LONG_VALUES[serializer], AT)
        assert isinstance(stored, bytes)
        for end in range(1, len(stored)):
            with pytest.raises(Unreadable):
                codec.loads(stored[:end], AT)

    @pytest.mark.parametrize("serializer", ["json", "msgpack"])
    def test_truncated_safe_payloads(self, serializer: str) -> None:
        codec = Codec(serializer=serializer)
        stored = codec.dumps(["some", {"value": [1, 2, 3]}], AT)
        assert isinstance(stored, bytes)
        for end in range(1, len(stored)):
            with pytest.raises(Unreadable):
                codec.loads(stored[:end], AT)

    @settings(max_examples=300)
    @given(st.binary())
    def test_any_bytes_are_read_or_unreadable(self, stored: bytes) -> None:
        for codec in (Codec(serializer="json"), Codec(signing_keys=[KEY])):
            with contextlib.suppress(Unreadable):
                codec.loads(stored, AT)


class TestErrorsThatPropagate:
    @pytest.mark.parametrize("value", [lambda: 0, (n for n in ()), threading.Lock()])
    @pytest.mark.parametrize("configuration", [{}, {"signing_keys": [KEY]}, {"compression": "zlib"}])
    def test_unpicklable(self, value: Any, configuration: dict[str, Any]) -> None:
        codec = Codec(**configuration)
        with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
            codec.dumps([value], AT)

    @pytest.mark.parametrize("serializer", ["json", "msgpack", "raw"])
    def test_unserializable(self, serializer: str) -> None:
        with pytest.raises(TypeError, match=f"{serializer} cannot keep"):
            Codec(serializer=serializer).dumps(object(), AT)

    def test_unpickling(self) -> None:
        for stored in (b"\x80\x05", b"\x80\x05cno_such_module\nThing\n.", b"\x30\x80\x05"):
            with pytest.raises((EOFError, pickle.UnpicklingError, ModuleNotFoundError)):
                Codec().loads(stored, AT)

    def test_custom(self) -> None:
        with pytest.raises(ZeroDivisionError):
            Codec(serializer=Exploding()).loads(b"\x70x", AT)


class TestConfiguration:
    @pytest.mark.parametrize(
        ("configuration", "message"),
        [
            ({"serializer": "pikle"}, "no serializer 'pikle': did you mean 'pickle'"),
            ({"accept": ["jsn"]}, "no serializer 'jsn': did you mean 'json'"),
            ({"accept": "json"}, r"write \['json'\]"),
            ({"compression": "zslib"}, "no compression 'zslib': did you mean 'zlib'"),
            ({"compression": "gzzzz"}, "choose one of 'zlib', 'lzma', 'bz2'"),
            ({"compression": "zlib", "compress_level": 99}, "compress_level 99 does not suit zlib"),
            ({"compression": "bz2", "compress_level": "best"}, "compress_level 'best' does not suit bz2"),
        ],
    )
    def test_mistakes_are_explained(self, configuration: dict[str, Any], message: str) -> None:
        with pytest.raises(Misconfigured, match=message):
            Codec(**configuration)

    def test_missing_packages_are_named_at_once(self) -> None:
        for name in MISSING:
            with pytest.raises(Misconfigured, match="install"):
                Codec(compression=name)
