"""Finding keys by prefix, by expression and by edit distance."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kt_core.database import Database, DatabaseOptions
from kt_core.database.matching import edit_distance
from kt_core.errors import InvalidInput
from tests.clock import Clock

MANY = 1300
"""More than two batches of a search."""


@pytest.fixture
def options() -> DatabaseOptions:
    return DatabaseOptions(max_size=16 << 20)


def fill(database: Database, *keys: bytes) -> list[bytes]:
    database.set_bulk([(key, b"value", 1 << 60) for key in keys])
    return sorted(keys)


# -- by prefix -----------------------------------------------------------------------------------------

PREFIXED = [b"", b"\0", b"\0\0", b"\0a", b"a", b"ab", b"abc", b"b", b"\xfe", b"\xff", b"\xff\xff", b"\xff\xff\xffz"]


@pytest.mark.parametrize("prefix", [b"", b"\0", b"\0\0", b"a", b"ab", b"abcd", b"\xff", b"\xff\xff", b"c"])
def test_a_prefix_finds_its_keys_in_order(database: Database, prefix: bytes) -> None:
    fill(database, *PREFIXED)
    expected = sorted(key for key in PREFIXED if key.startswith(prefix))
    assert database.match_prefix(prefix) == expected
    assert list(database.keys(prefix)) == expected
    assert [key for key, _ in database.scan(prefix)] == expected


@pytest.mark.parametrize("fill_byte", [b"\0", b"k", b"\xff"])
@pytest.mark.parametrize("length", [477, 478, 479, 480, 490, 509, 510, 511, 550])
def test_a_long_prefix_finds_every_key_that_has_it(database: Database, fill_byte: bytes, length: int) -> None:
    """Keys that share their first 479 bytes are ordered by a digest, so the search has to look at them all."""
    prefix = fill_byte * length
    keys = [prefix + b"%d" % number * 20 for number in range(20)]
    others = [fill_byte * (length - 1) + b"%d" % number * 40 for number in range(20)]
    fill(database, prefix, *keys, *others)
    expected = sorted([prefix, *keys])
    assert sorted(database.match_prefix(prefix)) == expected
    assert sorted(database.keys(prefix)) == expected
    assert sorted(key for key, _ in database.scan(prefix)) == expected


def test_a_prefix_that_is_longer_than_what_is_looked_for_finds_no_others(database: Database) -> None:
    first, *found, last = fill(database, *(b"k" * 485 + end for end in (b"l", b"m", b"mm", b"n")))
    assert first < found[0] < last
    assert list(database.keys(found[0])) == found
    assert database.match_prefix(found[0]) == found


@pytest.mark.parametrize(("limit", "found"), [(-1, 12), (-5, 12), (0, 0), (1, 1), (5, 5), (12, 12), (100, 12)])
def test_a_limit_keeps_the_first(database: Database, limit: int, found: int) -> None:
    keys = fill(database, *PREFIXED)
    assert database.match_prefix(b"", limit) == keys[:found]
    assert database.match_regex(b"", limit) == keys[:found]
    assert len(database.match_similar(b"a", 5, limit=limit)) == found


@pytest.mark.parametrize("length", [4, 479, 510, 511, 700])
def test_searches_go_on_beyond_a_batch(database: Database, length: int) -> None:
    keys = fill(database, *(b"%04d" % number + b"x" * (length - 4) for number in range(MANY)))
    assert database.match_prefix(b"") == keys
    assert list(database.keys()) == keys
    assert [key for key, _ in database.scan()] == keys
    assert database.match_regex(b"^1") == [key for key in keys if key.startswith(b"1")]


def test_searches_go_on_beyond_a_batch_of_keys_with_a_common_beginning(database: Database) -> None:
    """So the search goes on after stored keys of full length, where no byte can be added."""
    keys = fill(database, *(b"\xff" * 600 + b"%d" % number for number in range(MANY)))
    assert sorted(database.match_prefix(b"\xff")) == keys
    assert sorted(database.keys()) == keys


def test_searches_end_after_exactly_one_batch(database: Database) -> None:
    keys = fill(database, *(b"%04d" % number for number in range(512)))
    assert database.match_prefix(b"") == keys


def test_a_search_is_no_snapshot(database: Database) -> None:
    fill(database, *(b"%04d" % number for number in range(MANY)))
    found = database.keys()
    assert next(found) == b"0000"
    database.remove(b"1299")
    database.set(b"1298+", b"value")
    assert list(found)[-2:] == [b"1298", b"1298+"]


def test_expired_keys_are_matched_but_not_listed(database: Database, clock: Clock) -> None:
    database.set(b"dead", b"value", clock.after(1))
    database.set(b"deaf", b"value")
    clock.advance(1)
    assert database.match_prefix(b"dea") == [b"dead", b"deaf"]
    assert database.match_prefix(b"dea", 1) == [b"dead"]
    assert database.match_regex(b"^d") == [b"dead", b"deaf"]
    assert database.match_similar(b"dead", 1) == [b"dead", b"deaf"]
    assert list(database.keys()) == [b"deaf"]
    assert [key for key, _ in database.scan()] == [b"deaf"]


def test_nothing_is_found_in_an_empty_database(database: Database) -> None:
    assert database.match_prefix(b"") == []
    assert database.match_regex(b"") == []
    assert database.match_similar(b"", 100) == []
    assert list(database.keys()) == []


# -- by expression -------------------------------------------------------------------------------------


def test_a_dollar_does_not_match_before_a_last_newline(database: Database) -> None:
    fill(database, b"key", b"key\n", b"key\nkey")
    assert database.match_regex(b"key$") == [b"key", b"key\nkey"]


def test_a_caret_does_not_match_after_a_newline(database: Database) -> None:
    fill(database, b"key", b"a\nkey")
    assert database.match_regex(b"^key") == [b"key"]


def test_a_dot_matches_any_byte(database: Database) -> None:
    keys = fill(database, b"a\nb", b"a\xffb", b"a.b")
    assert database.match_regex(b"a.b") == keys


def test_an_expression_is_found_anywhere(database: Database) -> None:
    fill(database, b"one:two", b"two:three", b"three")
    assert database.match_regex(b"two") == [b"one:two", b"two:three"]
    assert database.match_regex(b"TWO") == []
    assert database.match_regex(b"") == [b"one:two", b"three", b"two:three"]


def test_what_is_no_expression_is_refused(database: Database) -> None:
    with pytest.raises(InvalidInput):
        database.match_regex(b"(")


# -- by distance ---------------------------------------------------------------------------------------


def reference_distance(left: str, right: str) -> int:
    """Levenshtein's recursion as it is defined."""

    @cache
    def between(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        return min(between(i - 1, j) + 1, between(i, j - 1) + 1, between(i - 1, j - 1) + (left[i - 1] != right[j - 1]))

    return between(len(left), len(right))


@given(st.text("abc", max_size=8), st.text("abc", max_size=8), st.integers(0, 9))
@example("kitten", "sitting", 3)
@example("", "", 0)
def test_the_distance_is_levenshteins_up_to_the_limit(left: str, right: str, limit: int) -> None:
    expected = reference_distance(left, right)
    for one, other in ((left, right), (left.encode(), right.encode())):
        measured = edit_distance(one, other, limit)
        assert measured == expected if expected <= limit else measured > limit


def test_similar_keys_come_by_distance_and_then_by_key(database: Database) -> None:
    fill(database, b"keys", b"key", b"kay", b"bey", b"k", b"monkey", b"lay", b"ke")
    assert database.match_similar(b"key", 2) == [b"key", b"bey", b"kay", b"ke", b"keys", b"k", b"lay"]
    assert database.match_similar(b"key", 2, limit=3) == [b"key", b"bey", b"kay"]
    assert database.match_similar(b"key") == [b"key", b"bey", b"kay", b"ke", b"keys"]
    assert database.match_similar(b"key", 0) == [b"key"]


def test_a_negative_distance_is_one(database: Database) -> None:
    fill(database, b"key", b"kay", b"lay")
    assert database.match_similar(b"key", -3) == [b"key", b"kay"]


def test_utf_counts_characters(database: Database) -> None:
    fill(database, "zoë".encode(), b"zoe", "zöé".encode())
    assert database.match_similar(b"zoe", 1) == [b"zoe"]
    assert database.match_similar(b"zoe", 1, utf=True) == [b"zoe", "zoë".encode()]
    assert database.match_similar(b"zoe", 2, utf=True) == [b"zoe", "zoë".encode(), "zöé".encode()]


def test_utf_counts_bytes_where_a_key_is_no_text(database: Database) -> None:
    fill(database, b"a\xff\xfe", b"a\xff")
    assert database.match_similar(b"a\xff", 1, utf=True) == [b"a\xff", b"a\xff\xfe"]
