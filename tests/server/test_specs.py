"""Specifications of databases: protocol reference, section 7."""

from __future__ import annotations

import pytest

from kt_core.errors import Misconfigured
from kt_core.server.specs import KINDS, Spec

KIND_OF = {
    "-": (16, False, True),
    "+": (17, True, True),
    ":": (24, False, True),
    "*": (32, False, True),
    "%": (33, True, True),
    "x.kch": (48, False, False),
    "/var/lib/x.kct": (49, True, False),
    "a.b.kcd": (64, False, False),
    "x.KCF": (65, True, False),
    "data#type=kct": (49, True, False),
    "x.kch#type=kct": (49, True, False),
    "x.kct#type=*": (32, False, True),
    "embedded://site": (49, True, False),
    "embedded:///srv/site": (49, True, False),
}


@pytest.mark.parametrize(("text", "kind"), KIND_OF.items(), ids=KIND_OF)
def test_a_path_names_a_kind(text: str, kind: tuple[int, bool, bool]) -> None:
    found = Spec.parse(text).kind
    assert (found.number, found.ordered, found.in_memory) == kind


@pytest.mark.parametrize("text", ["", "@", "x", "x.kcx", "kct/", "**", "x.kct#type=kcx", "#type=", "%.kcx"])
def test_what_is_no_database_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match=r"write one of \* % \+ - :"):
        Spec.parse(text)


NAMES = {
    "*": "*",
    "%#capsiz=1m": "%",
    "b.kct": "b.kct",
    "/var/lib/b.kct#opts=c": "b.kct",
    "embedded://site": "site",
    "embedded:///srv/site/": "site",
}


@pytest.mark.parametrize(("text", "name"), NAMES.items(), ids=NAMES)
def test_clients_call_it_by_the_last_part_of_its_path(text: str, name: str) -> None:
    assert Spec.parse(text).name == name


NUMBERS = {
    "1024": 1024,
    "64m": 64 << 20,
    "64M": 64 << 20,
    "1k": 1 << 10,
    "2g": 2 << 30,
    "1t": 1 << 40,
    "1p": 1 << 50,
    "1e": 1 << 60,
    " 5 k": 5 << 10,
    "+5": 5,
    "-5": -5,
    "5x": 5,
    "": 99,
    "m": 99,
    "much": 99,
}


@pytest.mark.parametrize(("text", "number"), NUMBERS.items(), ids=repr)
def test_numbers_have_units_of_1024(text: str, number: int) -> None:
    assert Spec.parse(f"*#capsiz={text}").number("capsiz", 99) == number
    assert Spec.parse("*").number("capsiz", 99) == 99


LIMITS = {
    "*": (0, 0),
    "*#capcnt=100#capsiz=1m": (100, 1 << 20),
    "*#capcnt=-1": (0, 0),
    "*#capcnt=0": (0, 0),
    "*#ktcapcnt=50#capcnt=100": (50, 0),
    ":#capcnt=100#capsiz=1m": (0, 0),
    "%#capcnt=100#capsiz=1m": (0, 0),
    ":#ktcapcnt=100#ktcapsiz=1m": (100, 1 << 20),
    "x.kct#ktcapcnt=1k": (1024, 0),
}


@pytest.mark.parametrize(("text", "limits"), LIMITS.items(), ids=LIMITS)
def test_which_limits_hold_for_which_kind(text: str, limits: tuple[int, int]) -> None:
    spec = Spec.parse(text)
    assert (spec.count_limit, spec.size_limit) == limits


@pytest.mark.parametrize(("text", "expires"), [("*", True), ("*#ktopts=p", False), ("*#ktopts=", True)])
def test_expiry_can_be_switched_off(text: str, expires: bool) -> None:
    assert Spec.parse(text).expires is expires


def test_what_only_tunes_the_original_is_accepted_and_what_nobody_knows_is_named() -> None:
    known = """bnum opts zcomp zkey psiz pccap apow fpow msiz dfunit log logkinds logpx
    capcnt capsiz ktopts ktcapcnt ktcapsiz max_size durability eviction database"""
    text = "x.kct#type=kct#rcomp=lex#" + "#".join(f"{name}=1" for name in known.split())
    assert Spec.parse(text).unknown == []
    assert Spec.parse("*#zzz=1#capsize=5##bnum=1").unknown == ["capsize", "zzz"]


@pytest.mark.parametrize("order", ["dec", "lexdesc", "decdesc"])
def test_another_order_than_that_of_bytes_is_refused(order: str) -> None:
    """Silently taking it would give answers in the wrong order."""
    with pytest.raises(Misconfigured, match="rcomp=lex"):
        Spec.parse(f"%#rcomp={order}")


def test_the_last_setting_of_an_option_counts() -> None:
    assert Spec.parse("*#capcnt=1#capcnt = 2 ").count_limit == 2


def test_every_kind_that_the_original_keeps_records_in_is_there() -> None:
    assert sorted(kind.number for kind in {id(kind): kind for kind in KINDS.values()}.values()) == [
        16, 17, 24, 32, 33, 48, 49, 49, 64, 65,
    ]  # fmt: skip
