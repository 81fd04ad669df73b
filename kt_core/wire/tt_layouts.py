"""How the messages of Tokyo Tyrant lie in bytes: a head of numbers, then parts whose sizes it tells, then items.

Source: the Tokyo Tyrant protocol reference, sections 1 and 2. All integers are big-endian.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any, Final, Generic, NamedTuple, TypeVar

from kt_core.errors import InvalidInput
from kt_core.wire.exchange import NEED_DATA, Buffer, Limits, NeedData, TooLarge
from kt_core.wire.kt_items import Items, Scan, pack_pairs, scan_pairs

M = TypeVar("M")

NAME_MAX: Final = 1023  # bytes in the name of a function
INT32_MAX: Final = (1 << 31) - 1
# A record may have grown beyond what one request can store: only what a field cannot say is refused.
REPLY_LIMITS: Final = Limits(key=INT32_MAX, value=INT32_MAX, records=INT32_MAX, message=1 << 36)

_SIZE = Struct(">I")


class ItemForm(NamedTuple):
    """The form of the items at the end of a message: how they are packed behind a head, and how they are scanned."""

    pack: Callable[[bytes, Sequence[Any]], bytes]
    scan: Scan


def _pack_elements(head: bytes, elements: Sequence[bytes]) -> bytes:
    pack = _SIZE.pack
    parts = [head]
    for element in elements:
        parts += pack(len(element)), element
    return b"".join(parts)


def _scan_elements(buffer: Buffer, found: list[Any], count: int, limits: Limits) -> int:
    """Scan elements, as the scans of `kt_core.wire.kt_items` do their items."""
    data, at, end, wanted = buffer.data, buffer.at, len(buffer.data), 0
    unpack, fixed, longest, append = _SIZE.unpack_from, _SIZE.size, limits.value, found.append
    for _ in range(count):
        start = at + fixed
        if start > end:
            wanted = fixed
            break
        (size,) = unpack(data, at)
        if size > longest:
            raise TooLarge(f"an element of {size} bytes is over the limit")
        stop = start + size
        if stop > end:
            wanted = stop - at
            break
        append(data[start:stop])
        at = stop
    buffer.at = at
    return wanted


ELEMENTS: Final = ItemForm(_pack_elements, _scan_elements)
PAIRS: Final = ItemForm(pack_pairs, scan_pairs)

# The letter of a field: its code for `struct`, and what it is.
_FIELDS: Final = {
    "k": ("I", "bytes in a key"),
    "v": ("I", "bytes in a value"),
    "f": ("I", "bytes in the name of a function"),
    "w": ("I", "as a width"),
    "n": ("I", "items"),
    "h": ("H", "as a number of 16 bits"),
    "i": ("i", "as a number of 32 bits"),
    "q": ("q", "as a number of 64 bits"),
}
_PARTS: Final = "kvf"


def _bounds(limits: Limits) -> dict[str, int]:
    return {
        "k": limits.key,
        "v": limits.value,
        "f": min(limits.key, NAME_MAX),
        "w": INT32_MAX,
        "n": limits.records,
    }


class Layout:
    """The form of one kind of message.

    A letter stands for each of its fields: k, v and f for a key, a value and the name of a function, whose sizes are in
    the head and whose bytes follow it; i and q for numbers of 32 and 64 bits, h and w for those of 16 and 32 that are
    not negative; n, the last, for items, whose number is in the head and which follow everything else in the form of
    `items`. The head begins with the bytes of `prefix`. `kind` makes the message of the fields.
    """

    def __init__(
        self, kind: Callable[..., Any], letters: str, prefix: Sequence[int], items: ItemForm = ELEMENTS
    ) -> None:
        self.kind = kind
        self.prefix = prefix
        self.items = items
        self.head = Struct(f">{len(prefix)}B" + "".join([_FIELDS[letter][0] for letter in letters]))
        self._letters = letters
        self.counted = letters.endswith("n")
        self.parts = [index for index, letter in enumerate(letters) if letter in _PARTS]
        self.bounded = [(index, letter) for index, letter in enumerate(letters) if letter not in "hiq"]

    def pack(self, message: Sequence[Any], prefix: Sequence[int] | None = None) -> bytes:
        """Return the bytes of a message; `struct.error` if a number does not fit."""
        numbers, parts = list(message[: len(self._letters)]), [b""]
        for index in self.parts:
            part = message[index]
            numbers[index] = len(part)
            parts.append(part)
        if self.counted:
            items = numbers[-1]
            numbers[-1] = len(items)
        parts[0] = self.head.pack(*(self.prefix if prefix is None else prefix), *numbers)
        packed = b"".join(parts)
        return self.items.pack(packed, items) if self.counted else packed

    def check(self, message: Sequence[Any], limits: Limits) -> None:
        """Raise `InvalidInput` if part of a message is more than the limits allow."""
        bounds = _bounds(limits)
        for index, letter in self.bounded:
            size = message[index] if letter == "w" else len(message[index])
            if size > bounds[letter]:
                raise InvalidInput(_excess(size, letter, bounds))
        if self.counted:
            size = max(map(len, message[self.bounded[-1][0]]), default=0)
            if size > limits.value:
                raise InvalidInput(_excess(size, "v", bounds))


def _excess(size: int, letter: str, bounds: dict[str, int]) -> str:
    return f"{size} {_FIELDS[letter][1]}: no more than {bounds[letter]} are allowed"


class LayoutDecoder(Generic[M]):
    """Decodes messages, one after the other; which layout each has is for `_begin` to tell."""

    closing = False

    def __init__(self, limits: Limits, buffer: Buffer | None) -> None:
        self._limits = limits
        self._bounds = _bounds(limits)
        self._buffer = Buffer() if buffer is None else buffer
        self._items: Items | None = None
        self._make: Callable[[list[Any]], M]

    @property
    def rest(self) -> bytes:
        """The bytes behind the message, untouched."""
        return self._buffer.rest

    def feed(self, data: bytes) -> M | NeedData:
        """Take received bytes and return the next message, or `NEED_DATA`; `b""` asks for a pipelined one."""
        buffer = self._buffer
        if not buffer.add(data):
            return NEED_DATA
        if self._items is None:
            message = self._begin(buffer.data, buffer.at)
            if self._items is None:
                return message
        if not self._items.read(buffer):
            return NEED_DATA
        items, self._items = self._items, None
        buffer.release()
        return self._make(items.found)

    def _begin(self, data: bytes, at: int) -> M | NeedData:
        """Read what comes before the items, or the whole message if it has none."""
        raise NotImplementedError

    def _read(self, layout: Layout, data: bytes, at: int) -> list[Any] | None:
        """Return the fields before the items, once all of them have arrived; then `_items` is set if there are any."""
        buffer, bounds = self._buffer, self._bounds
        position = at + layout.head.size
        if position > len(data):
            buffer.want(layout.head.size)
            return None
        fields = list(layout.head.unpack_from(data, at)[len(layout.prefix) :])
        for index, letter in layout.bounded:
            if fields[index] > bounds[letter]:
                raise TooLarge(_excess(fields[index], letter, bounds))
        for index in layout.parts:
            start, position = position, position + fields[index]
            fields[index] = data[start:position]
        if position > len(data):
            buffer.want(position - at)
            return None
        buffer.at = position
        if layout.counted:
            self._items = Items(layout.items.scan, fields.pop(), self._limits)
        return fields
