"""System checks: settings that work, but not as whoever wrote them may think.

Each has an id, ``kt_cache.E001`` and so on, by which SILENCED_SYSTEM_CHECKS leaves it out; `RULES` lists them all.
``manage.py check --tag caches`` shows them, with ``--deploy`` also those about the machine of the site.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from itertools import combinations
from pathlib import Path
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.core.cache import caches
from django.core.checks import CheckMessage, Error, Info, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured

from kt_cache.django.base import DJANGO_OPTIONS
from kt_cache.django.entries import Entry, given_in, options_of, our_entries
from kt_cache.options import EmbeddedOptions, Options
from kt_cache.serializers import Pickle, resolve
from kt_core.database.place import CONTROL_FILE, free_space
from kt_core.errors import Misconfigured
from kt_core.sizes import in_bytes
from kt_core.transport import Address

OURS: Final = "kt_cache.django.sessions"
CACHE: Final = "django.contrib.sessions.backends.cache"
CACHED_DB: Final = "django.contrib.sessions.backends.cached_db"

SMALL: Final = 16 << 20
"""Bytes below which a cache that evicts is small: a quarter is kept free, and a page of 200 KiB is 2 % of the rest."""
CONTAINERS: Final = 64 << 20
"""Bytes of shared memory that containers have unless they are given more."""

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - only asked for its size
_SIZES = "OPTIONS 'max_size'"


class Rule(NamedTuple):
    """What a check says, and what to write instead."""

    text: str
    hint: str


RULES: Final[dict[str, Rule]] = {
    # Errors: something raises, or loses what is not to be lost.
    "E001": Rule("CACHES[{alias!r}] cannot be used: {why}", "Mend the entry as the text says."),
    "E002": Rule(
        "SESSION_CACHE_ALIAS is {alias!r}, which is no alias of CACHES.", "Write one of those that there are: {known}."
    ),
    "E003": Rule(
        "Sessions are to be beside CACHES[{alias!r}], which is no KTCache.",
        "Set its BACKEND to 'kt_cache.django.KTCache', or SESSION_CACHE_ALIAS to the alias of one.",
    ),
    "E004": Rule("CACHES[{alias!r}] is to sign its values, and there is no SECRET_KEY.", "Set SECRET_KEY."),
    "E005": Rule(
        "CACHES[{alias!r}] is to have up to {wanted} in {place}, which has {free} free.",
        f"Write a smaller size as {_SIZES}, or a LOCATION with room.",
    ),
    # Warnings about what others may do, and what may be lost.
    "W001": Rule(
        "CACHES[{alias!r}] unpickles what {server} holds: whoever may write there may run code here.",
        "Write 'sign': True among its OPTIONS, or another 'serializer', such as 'msgpack' or 'json'.",
    ),
    "W002": Rule(
        "CACHES[{alias!r}] accepts pickles from {server}: whoever may write there may run code here.",
        "Write 'sign': True among its OPTIONS, or take 'pickle' out of 'accept' once no old values are left.",
    ),
    "W003": Rule(
        "Sessions are in CACHES[{alias!r}], which {why}.",
        f"Write SESSION_ENGINE = '{OURS}': it keeps them in a database of their own, which loses none.",
    ),
    "W004": Rule(
        "Sessions are in CACHES[{alias!r}], whose OPTIONS say that it {why}.",
        "Leave 'durability' and 'eviction' out, for a database of the sessions' own beside the cache, or write "
        "'durability': 'commit' and 'eviction': 'none'.",
    ),
    "W005": Rule(
        "CACHES[{alias!r}] and CACHES[{other!r}] have one database, and the same keys in it.",
        "Give each a KEY_PREFIX of its own, or a 'database' among its OPTIONS.",
    ),
    # Warnings about room, with --deploy.
    "W006": Rule(
        "CACHES[{alias!r}] has {size}, and evicts what does not fit: a few large values push everything else out.",
        f"Write at least {in_bytes(SMALL)} as {_SIZES}.",
    ),
    "W007": Rule(
        "The database of CACHES[{alias!r}] is in {place}; {shared} has {total}.",
        "Give the container more shared memory: docker run --shm-size=1g, shm_size in a compose file, or in Kubernetes "
        f"an emptyDir with medium Memory at {_SHARED_MEMORY}.",
    ),
    # Warnings and notes about what has no use, or a price.
    "W008": Rule("{name} has no effect: no cache of CACHES is one of django-redis.", "{instead}"),
    "I001": Rule(
        "CACHES[{alias!r}] counts its entries because of {names}, which makes every write cost more.",
        f"Leave that out: {_SIZES} bounds an embedded cache, and old entries make room for new ones.",
    ),
}

_INSTEAD: Final = {
    "IGNORE_EXCEPTIONS": "Write 'on_error': 'miss' among the OPTIONS of the cache.",
    "LOG_IGNORED_EXCEPTIONS": "Leave it out: with 'on_error': 'miss' each outage is logged, once.",
    "LOGGER": "Leave it out, and name the logger 'kt_cache' in LOGGING.",
    "CLOSE_CONNECTION": "Leave it out: connections are kept for 'max_idle' seconds, among the OPTIONS of the cache.",
    "SCAN_ITERSIZE": "Leave it out: keys are listed in batches of a fixed size.",
}


class Found(NamedTuple):
    """What a check found: the rule, and what its text is about."""

    rule: str
    about: dict[str, Any]


class Sound(NamedTuple):
    """An entry that can be read, with what it says."""

    alias: str
    entry: Entry
    options: Options


def _found(rule: str, **about: Any) -> Found:
    return Found(rule, about)


# -- the entries -----------------------------------------------------------------------------------------------


def find_faults() -> Iterator[Found]:
    """Yield what is wrong with the settings."""
    sound = []
    for alias, entry in our_entries().items():
        try:
            sound.append(Sound(alias, entry, options_of(entry)))
        except Misconfigured as error:
            yield _found("E001", alias=alias, why=error)
    for each in sound:
        yield from _trust(each)
        yield from _costs(each)
    yield from _collisions(sound)
    yield from _sessions({each.alias: each for each in sound})
    yield from _left_over(bool(sound))


def _trust(cache: Sound) -> Iterator[Found]:
    alias, _, options = cache
    if options.sign:
        try:
            settings.SECRET_KEY  # noqa: B018
        except ImproperlyConfigured:
            yield _found("E004", alias=alias)
        return
    for server in [each for each in options.store.asked if not _is_this_machine(each)][:1]:
        if isinstance(resolve(options.serializer)[1], Pickle):
            yield _found("W001", alias=alias, server=server)
        elif "pickle" in (options.accept or ()):
            yield _found("W002", alias=alias, server=server)


def _is_this_machine(server: Address) -> bool:
    if server.path is not None or server.host == "localhost":
        return True
    try:
        return ip_address(server.host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _costs(cache: Sound) -> Iterator[Found]:
    given = [name for name in DJANGO_OPTIONS if name in cache.entry.get("OPTIONS", {}) or name.lower() in cache.entry]
    if given and isinstance(cache.options.store, EmbeddedOptions):
        yield _found("I001", alias=cache.alias, names=" and ".join(given))


def _collisions(sound: list[Sound]) -> Iterator[Found]:
    for one, other in combinations(sound, 2):
        if _names(one) == _names(other) and _places(one.options) & _places(other.options):
            yield _found("W005", alias=one.alias, other=other.alias)


def _names(cache: Sound) -> tuple[Any, ...]:
    entry = cache.entry
    return entry.get("KEY_PREFIX", ""), entry.get("VERSION", 1), entry.get("KEY_FUNCTION")


def _places(options: Options) -> set[tuple[object, int]]:
    return {(place, options.store.database) for place in options.store.places}


def _left_over(is_ours: bool) -> Iterator[Found]:
    if is_ours and not any("redis" in entry.get("BACKEND", "") for entry in caches.settings.values()):
        for name in dir(settings):
            if name.startswith("DJANGO_REDIS_"):
                instead = _INSTEAD.get(name.removeprefix("DJANGO_REDIS_"), "Leave it out.")
                yield _found("W008", name=name, instead=instead)


# -- sessions --------------------------------------------------------------------------------------------------


def _sessions(sound: Mapping[str, Sound]) -> Iterator[Found]:
    engine, alias = settings.SESSION_ENGINE, settings.SESSION_CACHE_ALIAS
    if engine not in (OURS, CACHE, CACHED_DB):
        return
    if alias not in caches.settings:
        yield _found("E002", alias=alias, known=", ".join(map(repr, caches.settings)))
    elif alias in sound:
        # What cached_db finds missing in the cache is in its table.
        why = _loses(sound[alias].options)
        if why and engine == CACHE:
            yield _found("W003", alias=alias, why=why)
        elif why and engine == OURS and {"durability", "eviction"} & given_in(sound[alias].entry):
            yield _found("W004", alias=alias, why=why)
    elif engine == OURS and alias not in our_entries():
        yield _found("E003", alias=alias)


def _loses(options: Options) -> str:
    """Say how a cache loses what is in it, if it does."""
    if not isinstance(options.store, EmbeddedOptions):
        return ""
    ways = [
        (options.store.eviction == "lru", "drops old values for new ones once it is full"),
        (options.store.durability == "process", "is gone when the machine starts again"),
    ]
    return " and ".join(way for holds, way in ways if holds)


# -- the machine -----------------------------------------------------------------------------------------------


def total_space(path: Path) -> int:
    """Return the bytes that the file system of a path has in all, 0 if there is no such path."""
    try:
        space = os.statvfs(path)
    except OSError:
        return 0
    return space.f_blocks * space.f_frsize


def find_bottlenecks(
    total: Callable[[Path], int] = total_space, free: Callable[[Path], int] = free_space
) -> Iterator[Found]:
    """Yield what is wrong with the room that the caches have."""
    for alias, entry in our_entries().items():
        try:
            options = options_of(entry).store
        except Misconfigured:
            continue  # told by the other check
        if not isinstance(options, EmbeddedOptions):
            continue
        try:
            place = options.directory
        except Misconfigured as error:
            yield _found("E001", alias=alias, why=error)
            continue
        if options.eviction == "lru" and options.max_size < SMALL:
            yield _found("W006", alias=alias, size=in_bytes(options.max_size))
        room = free(place)
        if not os.path.exists(place / CONTROL_FILE) and room < options.max_size:
            yield _found("E005", alias=alias, wanted=in_bytes(options.max_size), place=place, free=in_bytes(room))
        shared = total(_SHARED_MEMORY)
        would_be_there = options.durability == "process" and not options.place.startswith("/")
        if 0 < shared <= CONTAINERS and (would_be_there or place.is_relative_to(_SHARED_MEMORY)):
            yield _found("W007", alias=alias, place=place, shared=_SHARED_MEMORY, total=in_bytes(shared))


# -- Django's side ---------------------------------------------------------------------------------------------

_LEVELS: Final[dict[str, Callable[..., CheckMessage]]] = {"E": Error, "W": Warning, "I": Info}


def _message(found: Found) -> CheckMessage:
    rule = RULES[found.rule]
    return _LEVELS[found.rule[0]](
        rule.text.format(**found.about), hint=rule.hint.format(**found.about), id=f"kt_cache.{found.rule}"
    )


def check_caches(**_: Any) -> list[CheckMessage]:
    """Check what the settings say."""
    return [_message(found) for found in find_faults()]


def check_room(**_: Any) -> list[CheckMessage]:
    """Check whether there is room for it."""
    return [_message(found) for found in find_bottlenecks()]


def register_checks() -> None:
    """Have Django make the checks."""
    register(check_caches, Tags.caches)
    register(check_room, Tags.caches, deploy=True)
