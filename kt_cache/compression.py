"""The compressors a stored value may have gone through, by name and by the number in its header."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

from kt_core.errors import Misconfigured

# A few hundred bytes can claim to be petabytes: nothing is expanded beyond this.
MAX_EXPANDED = 1 << 30
# What lzma may allocate to expand a value; the largest preset needs 65 MiB.
_LZMA_MEMORY = 128 << 20


class Compression(NamedTuple):
    """One compressor; its module is imported when it is first used."""

    id: int
    module: str
    advice: str
    default_level: int
    pack: Callable[[Any, bytes, int], bytes]
    unpack: Callable[[Any, bytes, int], bytes]

    def compress(self, data: bytes, level: int | None = None) -> bytes:
        """Return `data` compressed; raise Misconfigured when the package is missing."""
        return self.pack(self._library(), data, self._level(level))

    def decompress(self, data: bytes, limit: int = MAX_EXPANDED) -> bytes:
        """Return what was compressed; raise the package's own error on damage, ValueError above `limit`."""
        return self.unpack(self._library(), data, limit)

    def check(self, level: int | None = None) -> None:
        """Raise Misconfigured when the package is missing or cannot use `level`."""
        library = self._library()
        try:
            self.pack(library, b"", self._level(level))
        except Exception as error:  # every package has its own
            raise Misconfigured(f"compress_level {level!r} does not suit {self.module}: {error}") from error

    def _level(self, level: int | None) -> int:
        return self.default_level if level is None else level

    def _library(self) -> Any:
        try:
            return import_module(self.module)
        except ImportError as error:
            raise Misconfigured(f"the module {self.module!r} is missing: {self.advice}") from error


def _whole(finished: bool, trailing: bytes, data: bytes, limit: int) -> bytes:
    if len(data) > limit:
        raise ValueError(f"expands to more than {limit} bytes")
    if not finished or trailing:
        raise ValueError("truncated, or followed by something else")
    return data


def _expand(decompressor: Any, data: bytes, limit: int) -> bytes:
    # One byte more than allowed, so that a value of exactly `limit` bytes reaches its end.
    expanded = decompressor.decompress(data, limit + 1)
    return _whole(decompressor.eof, decompressor.unused_data, expanded, limit)


def _unpack_zlib(zlib: Any, data: bytes, limit: int) -> bytes:
    return _expand(zlib.decompressobj(), data, limit)


def _unpack_lzma(lzma: Any, data: bytes, limit: int) -> bytes:
    return _expand(lzma.LZMADecompressor(lzma.FORMAT_XZ, _LZMA_MEMORY), data, limit)


def _unpack_bz2(bz2: Any, data: bytes, limit: int) -> bytes:
    return _expand(bz2.BZ2Decompressor(), data, limit)


def _unpack_lz4(frame: Any, data: bytes, limit: int) -> bytes:
    # With a limit lz4 would allocate all of it at once; the size in the frame is checked by the library.
    if not 0 < frame.get_frame_info(data)["content_size"] <= limit:
        raise ValueError(f"expands to more than {limit} bytes, or does not say to how many")
    expanded, used = frame.decompress(data, return_bytes_read=True)
    return _whole(True, data[used:], expanded, limit)


def _unpack_zstd(zstandard: Any, data: bytes, limit: int) -> bytes:
    # The library obeys the size in the frame before any limit given to it.
    if not 0 <= zstandard.frame_content_size(data) <= limit:
        raise ValueError(f"expands to more than {limit} bytes, or does not say to how many")
    expanded: bytes = zstandard.ZstdDecompressor().decompress(data, allow_extra_data=False)
    return expanded


def _unpack_brotli(brotli: Any, data: bytes, limit: int) -> bytes:
    decompressor = brotli.Decompressor()
    expanded = decompressor.process(data, output_buffer_limit=limit + 1)
    return _whole(decompressor.is_finished(), b"", expanded, limit)


_STANDARD = "use a Python built with it"
_EXTRA = "pip install 'kt-cache[compression]'"

# Levels are chosen for caches: lzma's and brotli's own defaults take milliseconds for a page.
# zstandard's compressors must not be shared by threads, so each call makes its own.
COMPRESSIONS = {
    "zlib": Compression(1, "zlib", _STANDARD, 6, lambda zlib, data, n: zlib.compress(data, n), _unpack_zlib),
    "lzma": Compression(2, "lzma", _STANDARD, 1, lambda lzma, data, n: lzma.compress(data, preset=n), _unpack_lzma),
    "bz2": Compression(3, "bz2", _STANDARD, 9, lambda bz2, data, n: bz2.compress(data, n), _unpack_bz2),
    "lz4": Compression(
        4, "lz4.frame", _EXTRA, 0, lambda lz4, data, n: lz4.compress(data, compression_level=n), _unpack_lz4
    ),
    "zstd": Compression(5, "zstandard", _EXTRA, 3, lambda zstd, data, n: zstd.compress(data, n), _unpack_zstd),
    "brotli": Compression(6, "brotli", _EXTRA, 4, lambda br, data, n: br.compress(data, quality=n), _unpack_brotli),
}
