"""What is read of LMDB's data file by plain reads, around LMDB: whether it is sound, and a key from somewhere in it.

LMDB believes its file: where it is cut short the process dies of SIGBUS, where a page is noise it follows the
noise. So the size, the meta pages and the roots are looked at before it is opened. The layout is that of LMDB
0.9 (data version 1) on 64 bits, in the machine's byte order.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from random import Random
from struct import Struct, error

PAGE = mmap.PAGESIZE  # what LMDB takes for its pages

_PAGE_HEADER = Struct("=QHHHH")  # number, padding, flags, and the bounds of the free space between pointers and nodes
_META = Struct("=IIQQ" + "IHHQQQQQ" * 2 + "QQ")
_NODE = Struct("=HHHH")  # the value's size in two halves, flags, the key's size
_POINTER = Struct("=H")
_MAGIC, _DATA_VERSION = 0xBEEFC0DE, 1
_BRANCH, _LEAF = 0x01, 0x02
_NO_PAGE = (1 << 64) - 1


def fault_in(path: Path, map_size: int) -> str | None:
    """Say why LMDB must not be given this data file, or None if its size, meta pages and roots are sound.

    It has to be as long as the map: a shorter one has lost its end.
    """
    size = path.lstat().st_size if path.exists() else 0
    if size < map_size:
        return f"its data file has only {size} bytes of {map_size}"
    with path.open("rb") as file:
        metas = [_META.unpack_from(file.read(PAGE), _PAGE_HEADER.size) for _ in range(2)]
        for magic, version, _, _, page_size, *_ in metas:
            if (magic, version, page_size) != (_MAGIC, _DATA_VERSION, PAGE):
                return "a meta page of its data file is damaged, or of another LMDB version"
        *newest, last_page, _ = max(metas, key=lambda meta: meta[-1])
        if not 1 <= last_page < map_size // PAGE:
            return "a meta page of its data file names pages beyond the file"
        for root in (newest[11], newest[19]):
            if root == _NO_PAGE:
                continue
            if not 2 <= root <= last_page:
                return "a meta page of its data file names a root beyond the file"
            file.seek(root * PAGE)
            number, _, flags, _, _ = _PAGE_HEADER.unpack(file.read(_PAGE_HEADER.size))
            if number != root or not flags & (_BRANCH | _LEAF):
                return "the root page of its data file is not a page of LMDB"
    return None


def random_key(descriptor: int, last_page: int, random: Random) -> bytes | None:
    """Return the stored key of some record of some leaf page, each about as likely as any other.

    The page may have been given up since; all that the key is good for is to be a place to look from. None if
    the page that was drawn is no leaf.
    """
    number = random.randint(2, max(2, last_page))
    page = os.pread(descriptor, PAGE, number * PAGE)
    try:
        found, _, flags, lower, _ = _PAGE_HEADER.unpack_from(page)
        if found != number or not flags & _LEAF:
            return None
        nodes = (lower - _PAGE_HEADER.size) // _POINTER.size
        if nodes < 1:
            return None
        (node,) = _POINTER.unpack_from(page, _PAGE_HEADER.size + random.randrange(nodes) * _POINTER.size)
        *_, key_size = _NODE.unpack_from(page, node)
        return page[node + _NODE.size : node + _NODE.size + key_size] or None
    except error:
        return None
