"""Locations: what the URL or list of URLs in a project's settings names.

::

    embedded://NAME                             a database of that name
    embedded:///absolute/path                   a directory
    kt://host[:port][,host[:port]...][/DB]      Kyoto Tycoon servers, and the number of a logical database
    kt+unix:///absolute/path                    a server's socket on this machine
    tt://host[:port][,host[:port]...]           Tokyo Tyrant servers
    tt+unix:///absolute/path                    such a server's socket
    aerospike://host[:port][,...]/NAMESPACE/SET     a set of an Aerospike cluster, and some of its nodes

Each may end in ``?option=value&...``. Servers may also be separated by semicolons, each with its own scheme or
without, or stand in a list of any of these; a port left out is 1978, of Aerospike 3000.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from urllib.parse import parse_qsl, unquote

from kt_core.errors import Misconfigured, choose

if TYPE_CHECKING:
    from kt_core.transport import Address

Options: TypeAlias = "list[tuple[str, str]]"

_PORT = 1978
_PORTS = {"kt": _PORT, "tt": _PORT, "aerospike": 3000}
# Compiled by whatever uses them: most locations need few of them.
_SEPARATORS = "[,;]"
_SERVERS = r"[^/?#\s]+:\d+(?:/\d+)?"
# The schemes of other servers, and the ports that they listen at unless told otherwise.
_FOREIGN = r"(?:redis|rediss|valkey|valkeys|memcached)(?:[+-]\w+)?"
_FOREIGN_PORTS = r":(?:6379|6380|11211|26379)(?=[/,;]|$)"
_HOST = r"(?:\[([0-9A-Fa-f:.]+(?:%\w+)?)\]|([^:/@\[\]\s]+))(?::(\d{1,9}))?"


class Location(NamedTuple):
    """The kind of location, the place or the servers that it names, and the options written into it."""

    scheme: str
    place: str | tuple[Address, ...]
    options: Options


def locate(location: object) -> Location:
    """Read a location; `Misconfigured` says what to write instead, and shows no password."""
    try:
        return _locate(location)
    except Misconfigured as error:
        raise Misconfigured(without_password(str(error))) from None


def _locate(location: object) -> Location:
    if isinstance(location, list | tuple):
        first = next((item for item in location if isinstance(item, str) and "://" in item), "kt://")
        return _locate_all([_in_a_list(item, _kind(first.partition("://")[0])) for item in location])
    return _locate_all([os.fspath(location) if isinstance(location, os.PathLike) else location])


def read_servers(value: object, kind: str = "kt") -> tuple[Address, ...]:
    """Return the servers in a list, or in a text with commas or semicolons; without a database or options.

    `kind` is the scheme that each may begin with.
    """
    if isinstance(value, str):
        value = re.split(_SEPARATORS, value) if value else ()
    if not isinstance(value, Iterable):
        raise Misconfigured(f"{value!r} is not a list of servers: write ['host:{_PORT}', ...]")
    servers: list[Address] = []
    for item in value:
        address, options = _server(str(item).strip(), kind)
        if options:
            raise Misconfigured(f"{item!r} is more than a server: write host:port")
        servers.append(address)
    return tuple(servers)


def _locate_all(urls: list[Any]) -> Location:
    if not urls:
        raise Misconfigured(f"the list of servers is empty: write ['kt://host:{_PORT}', ...]")
    scheme = ""
    kinds: set[str] = set()
    places: list[str | Address] = []
    options: dict[str, str] = {}
    for url in urls:
        scheme, rest = _scheme(url)
        kinds.add(_kind(scheme))
        place, _, query = rest.partition("?")
        found, written = _READERS[scheme](url, place)
        places += found
        for name, value in [*written, *parse_qsl(query, keep_blank_values=True)]:
            if options.setdefault(name.lower(), value) != value:
                raise Misconfigured(f"{_twice(name, options[name.lower()], value)} in one location: write it once")
    names = [place for place in places if isinstance(place, str)]
    if names and len(places) > 1:
        raise Misconfigured(f"the location {urls!r} names several databases: write one embedded://NAME, or servers")
    if len(kinds) > 1:
        raise Misconfigured(f"the location {urls!r} names servers of two kinds: write all kt://, or all tt://")
    servers = tuple(place for place in places if not isinstance(place, str))
    return Location(scheme, names[0] if names else servers, list(options.items()))


def _twice(name: str, one: str, other: str) -> str:
    return f"{name} is there twice" if name.lower() == "password" else f"{name} is {one!r} and {other!r}"


def _in_a_list(item: object, kind: str) -> object:
    return f"{kind}://{item}" if isinstance(item, str) and "://" not in item else item


def _kind(scheme: str) -> str:
    """Return the scheme that a server's host and port have."""
    return scheme.removesuffix("+unix")


def _scheme(url: Any) -> tuple[str, str]:
    """Split off the scheme, which must be one of ours."""
    if not isinstance(url, str) or "://" not in url:
        raise Misconfigured(
            f"the location {url!r} is not a URL: write {_advice(url)} (embedded://NAME for a database of that name, "
            f"embedded:///absolute/path for a directory, kt://host:{_PORT} for a server)"
        )
    scheme, _, rest = url.partition("://")
    if scheme == "unix" or re.fullmatch(_FOREIGN, scheme):
        raise Misconfigured(
            f"the location {without_password(url)!r} is not that of a Kyoto Tycoon server: write {_instead(url)} for "
            "one, or embedded://NAME for a database that needs no server"
        )
    choose(_READERS, scheme, "kind of location")
    if "#" in rest:
        raise Misconfigured(f"the location {url!r} holds a '#': write %23 for it")
    return scheme, rest


def _instead(url: str) -> str:
    """Return what to write in the place of the URL of servers of another kind."""
    if url.startswith("unix:"):
        return "kt+unix:///absolute/path"
    servers, number = [], ""
    for piece in re.split(_SEPARATORS, url):
        place = re.split("[?#]", piece.rpartition("://")[2])[0].rpartition("@")[2]
        host, _, database = place.partition("/")
        match = re.fullmatch(_HOST, host)
        name = "host" if match is None else f"[{match[1]}]" if match[1] else match[2]
        servers.append(f"{name}:{_PORT}")
        number = f"/{database}" if database.isdecimal() else number
    return f"kt://{','.join(servers)}{number}"


def without_password(text: str) -> str:
    """Return a text as it may be shown, whatever users and passwords the URLs in it have."""
    # Up to the last @: whoever writes a password as it is, may have these characters in it.
    text = re.sub(r"((?<!/)//(?://)?(?!/))[^'\s]*@|(')[^/'\s]*@", r"\1\2...@", text)
    return re.sub(r"(?i)(?<=password=)[^&'\s]*", "...", text)


def _advice(url: object) -> str:
    text = url if isinstance(url, str) else ""
    if text.startswith("unix:"):
        return _instead(text)
    text = re.sub(_FOREIGN_PORTS, f":{_PORT}", text)
    if all(re.fullmatch(_SERVERS, each) for each in re.split(_SEPARATORS, text.removeprefix("kt:"))):
        return f"kt://{text.removeprefix('kt:')}"
    near = text.removeprefix("embedded:")
    return f"embedded://{near if near.find('/') < 1 else 'NAME'}"


def _embedded(url: str, place: str) -> tuple[list[str | Address], Options]:
    name, _, path = place.partition("/")
    if not place:
        raise Misconfigured(f"the location {url!r} names nothing: write embedded://NAME or embedded:///path")
    if name and path.strip("/"):
        raise Misconfigured(f"the location {url!r} has a name and a path: write embedded:///{place} for a path")
    return [unquote(name or place)], []


def _servers(url: str, place: str) -> tuple[list[str | Address], Options]:
    addresses: list[str | Address] = []
    options: Options = []
    for piece in re.split(_SEPARATORS, place):
        address, written = _server(piece.strip(), url.partition("://")[0])
        addresses.append(address)
        options += written
    return addresses, options


def _unix(url: str, place: str) -> tuple[list[str | Address], Options]:
    return [_socket(url, place)], []


_READERS: dict[str, Callable[[str, str], tuple[list[str | Address], Options]]] = {
    "embedded": _embedded,
    "kt": _servers,
    "kt+unix": _unix,
    "tt": _servers,
    "tt+unix": _unix,
    "aerospike": _servers,
}


def _socket(url: str, path: str) -> Address:
    from kt_core.transport import Address  # an embedded database needs nothing to connect with

    if not path.startswith("/") or path.endswith("/"):
        raise Misconfigured(f"{url!r} has no socket's path: write {url.partition('://')[0]}:///absolute/path")
    return Address(path=unquote(path))


def _server(text: str, kind: str) -> tuple[Address, Options]:
    """Return one server's address, and what is written behind it."""
    from kt_core.transport import Address

    if text.startswith(f"{kind}+unix://"):
        return _socket(text, text.removeprefix(f"{kind}+unix://")), []
    host_and_port, _, path = text.removeprefix(f"{kind}://").partition("/")
    match = re.fullmatch(_HOST, host_and_port)
    if match is None or (match[3] and not 0 < int(match[3]) < 1 << 16):
        raise Misconfigured(f"{text!r} is not a server: write {_near_server(host_and_port, kind)}")
    options = _PATHS[kind](text, host_and_port, path) if path else []
    return Address(match[1] or match[2], int(match[3] or _PORTS[kind])), options


def _database(text: str, server: str, path: str) -> Options:
    if not path.isdecimal():
        raise Misconfigured(f"{path!r} in {text!r} is not the number of a database: write kt://{server}/0")
    return [("database", path)]


def _no_database(text: str, server: str, path: str) -> Options:
    raise Misconfigured(f"{text!r} names a database, and a Tokyo Tyrant server has one: write tt://{server}")


def _set_of_namespace(text: str, server: str, path: str) -> Options:
    names = path.split("/")
    if len(names) > 2:
        raise Misconfigured(f"{text!r} names more than a namespace and a set: write aerospike://{server}/NAMESPACE/SET")
    return list(zip(("namespace", "set"), map(unquote, names), strict=False))


_PATHS: dict[str, Callable[[str, str, str], Options]] = {
    "kt": _database,
    "tt": _no_database,
    "aerospike": _set_of_namespace,
}


def _near_server(text: str, kind: str) -> str:
    """Say how a server is written, with what can be made of a wrong one."""
    if "@" in text:
        return f"{kind}://host:{_PORTS[kind]}{_ABOUT_USERS.get(kind, _NO_USERS)}"
    if text.count(":") > 1:
        return f"an IPv6 address in brackets, {kind}://[::1]:{_PORTS[kind]}"
    return f"{kind}://host:{_PORTS[kind]}, with a port from 1 to {(1 << 16) - 1}"


_NO_USERS = " (the protocol knows neither users nor passwords)"
_ABOUT_USERS = {"aerospike": "/NAMESPACE/SET (with the options user and password)"}


def database_name(project: str, directory: str) -> str:
    """Name the database of a project that names none: by the project's name, and its directory to tell copies apart."""
    name = re.sub("[^A-Za-z0-9._-]", "-", project)[:70].lstrip("._-")
    return f"{name or 'default'}-{hashlib.sha256(directory.encode()).hexdigest()[:12]}"
