"""Going over the records of a set, or of a namespace, without an index."""

from __future__ import annotations

from collections.abc import Iterator
from struct import unpack

from tests.aerospike.server import expressions
from tests.aerospike.server.operations import read_bins
from tests.aerospike.server.records import PARTITIONS, Namespace, Record, partition
from tests.aerospike.server.wire import Field, Info1, Info3, Message, Op, Result


def execute(namespaces: dict[bytes, Namespace], message: Message) -> Iterator[Message]:
    """Yield every record asked for, then the message that ends the answer."""
    namespace = namespaces.get(message.fields.get(Field.NAMESPACE, b""))
    if namespace is None:
        yield Message(result=Result.NAMESPACE, info3=Info3.LAST)
        return
    with namespace.lock:
        found = list(_found(namespace, message))
    yield from found
    yield Message(info3=Info3.LAST)


def _found(namespace: Namespace, message: Message) -> Iterator[Message]:
    name = message.fields.get(Field.SET, b"")
    source = message.fields.get(Field.FILTER)
    wanted = _after(message.fields)
    left = int.from_bytes(message.fields.get(Field.MAX_RECORDS, b"")) or None
    records = sorted(namespace.all_live(), key=lambda item: (partition(item[0]), item[0]))
    for digest, record in records:
        number = partition(digest)
        if number not in wanted or digest <= wanted[number] or name not in (b"", record.set):
            continue
        if source and not expressions.matches(source, record, namespace.now()):
            continue
        ops = _bins(message, record)
        if not ops and not message.info1 & Info1.NO_BIN_DATA:
            continue  # it has none of the bins asked for
        fields: dict[int, bytes] = {Field.NAMESPACE: message.fields[Field.NAMESPACE], Field.DIGEST: digest}
        fields[Field.SET] = record.set
        if record.key is not None:
            fields[Field.KEY] = record.key
        yield Message(
            info1=message.info1 & Info1.NO_BIN_DATA,
            generation=record.generation,
            ttl=record.expiry,
            fields=fields,
            ops=ops,
        )
        if left is not None and (left := left - 1) == 0:
            return


def _bins(message: Message, record: Record) -> list[Op]:
    """Return the bins asked for, by operations or by the field that queries have for their names."""
    names = message.fields.get(Field.QUERY_BINS)
    if names is None:
        return read_bins(message, record)
    return [op for op in read_bins(message, record) if op.name in _names(names)]


def _names(data: bytes) -> set[bytes]:
    names, at = set(), 1
    for _ in range(data[0]):
        names.add(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    return names


def _after(fields: dict[int, bytes]) -> dict[int, bytes]:
    """Return the partitions asked for, each with the digest after which to go on."""
    if Field.PARTITIONS not in fields and Field.DIGESTS not in fields:
        return dict.fromkeys(range(PARTITIONS), b"")
    data, digests = fields.get(Field.PARTITIONS, b""), fields.get(Field.DIGESTS, b"")
    whole = dict.fromkeys(unpack(f"<{len(data) // 2}H", data), b"")
    resumed = [digests[at : at + 20] for at in range(0, len(digests), 20)]
    return whole | {partition(digest): digest for digest in resumed}
