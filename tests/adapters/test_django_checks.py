"""System checks: what each of them finds, and that nothing is found where all is well."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.checks import ERROR, INFO, WARNING
from django.core.management import CommandError, call_command
from django.test import override_settings

from kt_cache.django import KTCache
from kt_cache.django.checks import (
    CACHE,
    CACHED_DB,
    OURS,
    RULES,
    check_caches,
    check_room,
    find_bottlenecks,
    total_space,
)

KT = "kt_cache.django.KTCache"
LOCMEM = "django.core.cache.backends.locmem.LocMemCache"
FAR = "kt://cache.example.org"
SESSIONS = {"durability": "commit", "eviction": "none"}


class Own(KTCache):
    """A cache of the project's own kind."""


def entry(location: str = "embedded://site", **params: Any) -> dict[str, Any]:
    """Return a CACHES entry; parameters in small letters are its OPTIONS."""
    options = {name: value for name, value in params.items() if name.islower()}
    return {"BACKEND": KT, "LOCATION": location, "OPTIONS": options} | {
        name: value for name, value in params.items() if not name.islower()
    }


def found(default: dict[str, Any] | None = None, /, **settings: Any) -> list[tuple[str, str]]:
    """Return the rules that the settings break, each with the text that a user sees."""
    entries = settings.pop("CACHES", {"default": default or entry()})
    with override_settings(CACHES=entries, **settings):
        return [(each.id.removeprefix("kt_cache."), f"{each.msg} {each.hint}") for each in check_caches()]  # type: ignore[union-attr]


def rules(*args: Any, **settings: Any) -> list[str]:
    return [rule for rule, _ in found(*args, **settings)]


# -- the entries -------------------------------------------------------------------------------------------


def test_nothing_is_wrong_with_a_usual_entry() -> None:
    assert found() == []
    assert found({"BACKEND": KT}) == []
    assert found({"BACKEND": LOCMEM, "OPTIONS": {"MAX_ENTRIES": 5}}) == []
    assert found({"BACKEND": "nowhere.Cache"}) == []
    assert found(CACHES={"default": entry("kt://localhost"), "other": entry(FAR, sign=True)}) == []


def test_an_entry_that_cannot_be_used_is_told_with_the_reason() -> None:
    ((rule, text),) = found(entry(max_sise="64MiB"))
    assert rule == "E001"
    assert text.startswith("CACHES['default'] cannot be used: there is no option 'max_sise': did you mean 'max_size'?")
    assert rules(entry("rubbish")) == ["E001"]
    assert rules(entry("rubbish", BACKEND=f"{__name__}.Own")) == ["E001"]


@pytest.mark.parametrize("location", [FAR, "kt://127.0.0.1,10.0.0.1", "kt://[2001:db8::1]:1978"])
def test_whoever_may_write_pickles_elsewhere_may_run_code(location: str) -> None:
    ((rule, text),) = found(entry(location))
    assert rule == "W001"
    assert "'sign': True" in text
    assert rules(entry(location, serializer="json", accept=["json", "pickle"])) == ["W002"]
    assert rules(entry("kt://127.0.0.1", replicas=["10.0.0.1:1978"])) == ["W001"]
    assert rules(entry(location, serializer="msgpack")) == []
    assert rules(entry(location, serializer="json", accept="pickle", sign=True)) == []


@pytest.mark.parametrize(
    "location", ["kt://localhost", "kt://127.0.0.2", "kt://[::1]:1978", "kt+unix:///run/cache", "embedded://site"]
)
def test_what_is_on_this_machine_is_trusted(location: str) -> None:
    assert rules(entry(location)) == []


def test_a_server_is_named() -> None:
    ((_, text),) = found(entry("kt://127.0.0.1,10.0.0.1:1979,10.0.0.2"))
    assert "unpickles what 10.0.0.1:1979 holds" in text


def test_what_is_to_be_signed_needs_a_secret() -> None:
    assert rules(entry(sign=True), SECRET_KEY="") == ["E004"]
    assert rules(entry(sign=True), SECRET_KEY="secret") == []
    assert rules(entry(), SECRET_KEY="") == []


@pytest.mark.parametrize(
    "limited",
    [{"OPTIONS": {"MAX_ENTRIES": 5}}, {"MAX_ENTRIES": 5, "max_entries": 5}, {"OPTIONS": {"CULL_FREQUENCY": 2}}],
)
def test_counting_entries_costs(limited: dict[str, Any]) -> None:
    assert rules({"BACKEND": KT, **limited}) == ["I001"]
    assert rules({"BACKEND": KT, "LOCATION": "kt://localhost", **limited}) == []


def test_two_aliases_with_the_same_keys_are_told() -> None:
    def together(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
        return rules(CACHES={"default": one, "other": other})

    assert together(entry(), entry()) == ["W005"]
    assert together({"BACKEND": KT}, {"BACKEND": KT, "KEY_PREFIX": "", "VERSION": 1}) == ["W005"]
    assert together(entry("kt://localhost/2"), entry("kt://127.0.0.1,localhost/2")) == ["W005"]
    assert together(entry("aerospike://a/test/s"), entry("aerospike://b,a/test/s")) == ["W001", "W001", "W005"]
    assert together(entry("aerospike://[::1]/test/s"), entry("aerospike://[::1]/test/t")) == []
    for distinct in (
        entry(KEY_PREFIX="other"),
        entry(VERSION=2),
        entry(KEY_FUNCTION="other.keys"),
        entry(database=1),
        entry("embedded://elsewhere"),
        entry("kt://localhost"),
    ):
        assert together(entry(), distinct) == []


# -- sessions ----------------------------------------------------------------------------------------------


def test_sessions_that_a_cache_may_drop_are_told() -> None:
    ((rule, text),) = found(SESSION_ENGINE=CACHE)
    assert rule == "W003"
    assert "drops old values for new ones once it is full and is gone when the machine starts again" in text
    assert "SESSION_ENGINE = 'kt_cache.django.sessions'" in text
    ((_, text),) = found(entry(durability="commit"), SESSION_ENGINE=CACHE)
    assert "which drops old values for new ones once it is full." in text
    assert rules(entry(**SESSIONS), SESSION_ENGINE=CACHE) == []


def test_sessions_that_are_elsewhere_too_are_not() -> None:
    assert rules(SESSION_ENGINE=CACHED_DB) == []
    assert rules(entry("kt://localhost"), SESSION_ENGINE=CACHE) == []
    assert rules(SESSION_ENGINE="django.contrib.sessions.backends.db") == []
    assert rules({"BACKEND": LOCMEM}, SESSION_ENGINE=CACHE) == []


@pytest.mark.parametrize(
    ("location", "options", "expected"),
    [
        ("embedded://site", {}, []),
        ("embedded://site", {"durability": "process"}, ["W004"]),
        ("embedded://site?eviction=lru", {"durability": "commit"}, ["W004"]),
        ("embedded://site", SESSIONS, []),
        ("kt://localhost", {}, []),
    ],
)
def test_our_sessions_have_a_place_of_their_own_unless_it_is_said(
    location: str, options: dict[str, Any], expected: list[str]
) -> None:
    assert rules(entry(location, **options), SESSION_ENGINE=OURS) == expected


@pytest.mark.parametrize("engine", [OURS, CACHE, CACHED_DB])
def test_sessions_need_a_cache(engine: str) -> None:
    ((rule, text),) = found(SESSION_ENGINE=engine, SESSION_CACHE_ALIAS="sessions")
    assert rule == "E002"
    assert text.endswith("Write one of those that there are: 'default'.")


def test_our_sessions_need_a_cache_of_ours() -> None:
    assert rules({"BACKEND": LOCMEM}, SESSION_ENGINE=OURS) == ["E003"]


# -- what is left over -------------------------------------------------------------------------------------


def test_settings_of_django_redis_have_replacements() -> None:
    told = found(DJANGO_REDIS_IGNORE_EXCEPTIONS=True, DJANGO_REDIS_ODDITY=1)
    assert [rule for rule, _ in told] == ["W008", "W008"]
    assert told[0][1].startswith("DJANGO_REDIS_IGNORE_EXCEPTIONS has no effect")
    assert told[0][1].endswith("Write 'on_error': 'miss' among the OPTIONS of the cache.")
    assert told[1][1].endswith("Leave it out.")


def test_settings_of_django_redis_may_be_of_use() -> None:
    theirs = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://localhost"}
    assert rules(CACHES={"default": entry(), "redis": theirs}, DJANGO_REDIS_IGNORE_EXCEPTIONS=True) == []
    assert rules({"BACKEND": LOCMEM}, DJANGO_REDIS_IGNORE_EXCEPTIONS=True) == []


# -- the machine -------------------------------------------------------------------------------------------


def about_room(default: dict[str, Any], *, shared: int = 8 << 30, free: int = 8 << 30) -> list[str]:
    with override_settings(CACHES={"default": default}):
        return [each.rule for each in find_bottlenecks(lambda path: shared, lambda path: free)]


def test_a_small_cache_that_evicts_is_told(tmp_path: Path) -> None:
    place = f"embedded://{tmp_path}/place"
    assert about_room(entry(place, max_size="15MiB")) == ["W006"]
    assert about_room(entry(place, max_size="16MiB")) == []
    assert about_room(entry(place, max_size="2MiB", eviction="none")) == []
    assert about_room(entry("kt://localhost")) == []


def test_a_cache_that_has_no_room_is_told(tmp_path: Path) -> None:
    assert about_room(entry(f"embedded://{tmp_path}/place"), free=255 << 20) == ["E005"]
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "control").touch()
    assert about_room(entry(f"embedded://{tmp_path}/place"), free=255 << 20) == []


def test_a_name_for_which_no_place_has_room_is_told() -> None:
    with override_settings(CACHES={"default": entry(max_size=1 << 60)}):
        (told,) = check_room()
    assert told.id == "kt_cache.E001"
    assert "no place has" in told.msg


def test_the_shared_memory_of_a_container_is_told(tmp_path: Path) -> None:
    assert about_room(entry(), shared=64 << 20) == ["W007"]
    assert about_room(entry("embedded:///dev/shm/no-such-place"), shared=64 << 20) == ["W007"]
    assert about_room(entry(durability="commit"), shared=64 << 20) == []
    assert about_room(entry(f"embedded://{tmp_path}/place"), shared=64 << 20) == []
    assert about_room(entry(), shared=65 << 20) == []
    assert about_room(entry(), shared=0) == []


def test_an_entry_that_cannot_be_read_is_told_once() -> None:
    assert about_room(entry("rubbish")) == []


def test_a_path_that_is_not_there_has_no_space() -> None:
    assert total_space(Path("/")) > 0
    assert total_space(Path("/no/such/place")) == 0


# -- in Django ---------------------------------------------------------------------------------------------


def check(*arguments: str, **settings: Any) -> str:
    told = io.StringIO()
    with override_settings(INSTALLED_APPS=["kt_cache.django"], **settings):
        try:
            call_command("check", "--tag", "caches", *arguments, stderr=told, stdout=told)
        except CommandError as error:
            return str(error)
    return told.getvalue()


def test_the_application_has_the_checks_made() -> None:
    far = {"default": entry(FAR)}
    told = check(CACHES=far)
    assert "?: (kt_cache.W001) CACHES['default'] unpickles what cache.example.org:1978 holds" in told
    assert "HINT: Write 'sign': True" in told
    assert "(1 silenced)" in check(CACHES=far, SILENCED_SYSTEM_CHECKS=["kt_cache.W001"])
    with override_settings(INSTALLED_APPS=["kt_cache.django"]):
        assert apps.get_app_config("kt_cache").name == "kt_cache.django"


def test_the_machine_is_looked_at_when_the_site_is_deployed(tmp_path: Path) -> None:
    small = {"default": entry(f"embedded://{tmp_path}/place", max_size="2MiB")}
    assert "no issues" in check(CACHES=small)
    assert "kt_cache.W006" in check("--deploy", CACHES=small)


def test_errors_fail_the_command() -> None:
    assert "kt_cache.E002" in check(SESSION_ENGINE=CACHE, SESSION_CACHE_ALIAS="nowhere")


@pytest.mark.parametrize(("rule", "level"), [("E002", ERROR), ("W003", WARNING), ("I001", INFO)])
def test_a_rules_letter_is_its_level(rule: str, level: int) -> None:
    entries = {"default": {"BACKEND": KT, "OPTIONS": {"MAX_ENTRIES": 5}}}
    alias = "nowhere" if rule == "E002" else "default"
    with override_settings(CACHES=entries, SESSION_ENGINE=CACHE, SESSION_CACHE_ALIAS=alias):
        assert {each.id: each.level for each in check_caches()}[f"kt_cache.{rule}"] == level


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_says_what_is_wrong_and_what_to_write(rule: str) -> None:
    text, hint = RULES[rule]
    assert text.endswith((".", "{why}"))
    assert hint.endswith(".") or hint == "{instead}"
