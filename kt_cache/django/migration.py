"""What other backends call their options and methods, in the words of this one.

Whoever comes from django-redis, django-valkey or a backend of Django's own changes ``BACKEND`` and ``LOCATION``. The
``OPTIONS`` may stay: one that has an equivalent is translated, and left out without a word where there is nothing that
it could say (an embedded database has no socket that could time out). One that has none is refused, and so is a method;
the error tells what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from kt_cache.options import has_option
from kt_core.errors import Misconfigured
from kt_core.locations import locate

_CLASS = r"django_(?:redis|valkey)\.(serializers|compressors)\.(\w+)\.(\w+)"
_SERIALIZERS = {"pickle": "pickle", "json": "json", "msgpack": "msgpack"}
_MSGSPEC = {"MsgSpecJsonSerializer": "json", "MsgSpecMsgPackSerializer": "msgpack"}
_COMPRESSIONS = {
    "identity": None, "zlib": "zlib", "gzip": "zlib", "bz2": "bz2", "lzma": "lzma", "lz4": "lz4", "zstd": "zstd",
    "brotli": "brotli",
}  # fmt: skip


def translate(location: object, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options under our names, whatever names they have; `Misconfigured` for one that means nothing here."""
    scheme = locate(location).scheme if location else "embedded"
    translated: dict[str, Any] = {}
    for name, value in options.items():
        foreign = str(name).lower()
        if foreign in REFUSED:
            raise Misconfigured(f"{name} is an option of another backend: {REFUSED[foreign]}")
        ours = TRANSLATIONS[foreign](value) if foreign in TRANSLATIONS else {foreign: value}
        for each, meaning in ours.items():
            if each in translated:
                raise Misconfigured(f"the option {each} is given twice, once as {name}: leave out either")
            if each == foreign or has_option(scheme, each):
                translated[each] = meaning
    return translated


class LeftOut:
    """An attribute that there is not, as for `hasattr`; whoever asks for it is told what to do instead.

    With a ``__getattr__`` there would be no need of these, and all other attributes would take longer to find.
    """

    def __init__(self, name: str, advice: str) -> None:
        self._name = name
        self._advice = advice

    def __get__(self, instance: object, owner: type) -> NoReturn:
        raise AttributeError(f"a {owner.__name__} has no {self._name!r}: {self._advice}", name=self._name, obj=instance)


def _unless_none(option: str) -> Callable[[Any], dict[str, Any]]:
    return lambda value: {} if value is None else {option: value}


def _serializer(value: Any) -> dict[str, Any]:
    kind, module, name = _parts(value)
    if kind is None:
        return {"serializer": "pickle" if value == "django.core.cache.backends.redis.RedisSerializer" else value}
    serializer = _MSGSPEC.get(name) or _SERIALIZERS.get(module)
    if serializer is None:
        raise Misconfigured(f"{value!r} has no equivalent: write serializer='pickle', 'msgpack' or 'json'")
    return {"serializer": serializer}


def _compressor(value: Any) -> dict[str, Any]:
    kind, module, _ = _parts(value)
    if kind is None or module not in _COMPRESSIONS:
        known = ", ".join(repr(name) for name in _COMPRESSIONS.values() if name)
        raise Misconfigured(f"{value!r} has no equivalent: write compression= and one of {known}")
    return {"compression": _COMPRESSIONS[module]}


def _parts(path: object) -> tuple[str | None, str, str]:
    match = re.fullmatch(_CLASS, path) if isinstance(path, str) else None
    return (match[1], match[2], match[3]) if match else (None, "", "")


def _pool(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise Misconfigured(f"CONNECTION_POOL_KWARGS is {value!r}: write max_connections=64 instead")
    ours: dict[str, Any] = {}
    for name, meaning in value.items():
        if name not in _POOL:
            raise Misconfigured(f"CONNECTION_POOL_KWARGS has {name!r}, which means nothing here: leave it out")
        ours |= _POOL[name](meaning)
    return ours


_POOL: dict[str, Callable[[Any], dict[str, Any]]] = {
    "max_connections": _unless_none("max_connections"),
    "socket_timeout": _unless_none("timeout"),
    "socket_connect_timeout": _unless_none("connect_timeout"),
}

# By the name in small letters: the options that one of another backend becomes.
TRANSLATIONS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "socket_timeout": _unless_none("timeout"),
    "socket_connect_timeout": _unless_none("connect_timeout"),
    "ignore_exceptions": lambda value: {"on_error": "miss" if value else "raise"},
    "connection_pool_kwargs": _pool,
    "serializer": _serializer,
    "compressor": _compressor,
    "cache_compress_level": _unless_none("compress_level"),
    "cache_compress_min_length": _unless_none("compress_min_length"),
}

_NO_CLASSES = "there are no classes to choose from, the LOCATION says what kind of store it is; leave it out"
_NO_PASSWORDS = (
    "the protocol knows neither users nor passwords; leave it out, let the server listen where only your machines "
    "reach it, and write sign=True, so that nobody else's values are read"
)
_NO_SENTINELS = "there are no sentinels; name the servers in the LOCATION, kt://first,second, and copies in replicas="
_ONE_DATABASE = "one database takes the writes of all processes; leave it out"

# By the name in small letters: what to write instead of an option of another backend that has no equivalent.
REFUSED: dict[str, str] = {
    "client_class": (
        "the LOCATION says what kind of store it is; leave it out (the servers of kt://first,second share the keys, as "
        "with ShardClient, replicas= names copies, and get_or_set(..., stale=60) does what HerdClient is for)"
    ),
    "connection_factory": _NO_CLASSES,
    "connection_pool_class": "connections are kept and shared without it; leave it out (max_connections= bounds them)",
    "pool_class": "connections are kept and shared without it; leave it out (max_connections= bounds them)",
    "connection_pool_class_kwargs": "connections are kept and shared without it; write max_connections= if need be",
    "redis_client_class": _NO_CLASSES,
    "redis_client_kwargs": _NO_CLASSES,
    "base_client_class": _NO_CLASSES,
    "base_client_kwargs": _NO_CLASSES,
    "parser_class": _NO_CLASSES,
    "pickle_version": "values are pickled by the highest protocol, and read by whichever they were; leave it out",
    "password": _NO_PASSWORDS,
    "username": _NO_PASSWORDS,
    "db": "write the number into the LOCATION, kt://host:1978/1, or database=1",
    "replica_read_only": "writes always go to the server itself; leave it out (replicas= names copies to read from)",
    "close_connection": "connections stay open between requests; leave it out, or write max_idle= in seconds",
    "sentinels": _NO_SENTINELS,
    "sentinel_kwargs": _NO_SENTINELS,
    "log_ignored_exceptions": "outages are always logged, once each, by the logger 'kt_cache'; leave it out",
    "log_ignore_exceptions": "outages are always logged, once each, by the logger 'kt_cache'; leave it out",
    "compress_zstd_dict": "compression works without dictionaries here; leave it out",
    "shards": _ONE_DATABASE,
    "database_timeout": _ONE_DATABASE,
    "size_limit": "write max_size='1GiB', or a number of bytes",
    "cull_limit": "what is oldest makes room by itself; leave it out",
    "eviction_policy": "write eviction='lru' or eviction='none'",
    "statistics": "figures are always kept; leave it out, and see stats()",
    "tag_index": "tags need no index; leave it out",
    "disk": "write serializer= for how values become bytes",
    "disk_min_file_size": "all values are in the database; leave it out",
    "disk_pickle_protocol": "values are pickled by the highest protocol; leave it out",
    "ignore_exc": "write on_error='miss'",
    "max_pool_size": "write max_connections=",
    "use_pooling": "connections are always kept and shared; leave it out",
    "pool_idle_timeout": "write max_idle=",
    "no_delay": "nothing is ever delayed; leave it out",
    "binary": "there is one protocol; leave it out",
    "behaviors": "there are no behaviors; write the options by their own names, as timeout=1",
    "serde": "write serializer=, and compression= if need be",
    "hasher": "keys are shared out by rendezvous hashing; leave it out",
}  # fmt: skip

_SETS = "keep the set as one value, and change it with compare_and_set, or one key for each member, under one tag"
_HASHES = "keep one key for each field, with get_many, set_many, incr_many and delete_pattern, or a dict as one value"
_SORTED = "keep scores as counters, with incr and incr_many, or the whole as one value, with compare_and_set"
_LISTS = "a cache is no queue: keep the list as one value, with compare_and_set, or use a task queue"
_CLIENT = "there is no client below it; kt_core.KyotoTycoon(host, port) is one for the server"

# What to do instead of what other backends have methods for.
_INSTEAD: dict[str, str] = {
    "sadd scard sdiff sdiffstore sinter sinterstore smembers smismember sismember smove spop srandmember srem sscan "
    "sscan_iter sunion sunionstore": _SETS,
    "hset hdel hlen hkeys hexists hget hgetall hmget hmset hvals hincrby hsetnx hscan": _HASHES,
    "zadd zcard zcount zincrby zpopmax zpopmin zrange zrangebyscore zrank zrem zremrangebyscore zrevrange "
    "zrevrangebyscore zscore": _SORTED,
    "lpush rpush lpop rpop lrange llen lrem lindex lset ltrim linsert lpos lmove blpop brpop push pull peek deque "
    "index": _LISTS,
    "client get_client get_client_with_index _cache": _CLIENT,
    "get_lock": "it is called lock",
    "mget mget_nonatomic": "it is called get_many",
    "mset msetnx mset_nonatomic": "it is called set_many",
    "flushall flushdb": "it is called clear, or clear_prefix for what has this cache's KEY_PREFIX alone",
    "evict": "it is called delete_tag",
    "create_tag_index drop_tag_index": "tags need no index",
    "memoize memoize_stampede": "get_or_set computes a value once for all who ask, with early= also before it is over",
    "throttle": "it is called rate_limiter",
    "transact": "incr, add, compare_and_set and set(..., get=True) are each done in one piece",
    "gets cas": "it is called compare_and_set",
}
LEFT_OUT: dict[str, str] = {
    prefix + name: advice for names, advice in _INSTEAD.items() for name in names.split() for prefix in ("", "a")
}
