"""A proxy of TCP that cuts, delays and stalls what goes through it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import Final

from kt_core.transport import Address

_PIECE: Final = 65536


class Proxy:
    """Forwards connections to a server, at an address of its own; its faults are for all connections."""

    def __init__(self, server: Address) -> None:
        self._server = server
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._cut_after: int | None = None
        self.delay = 0.0
        """Seconds by which each piece is late."""
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        ready.wait()

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._flowing = asyncio.Event()
        self._flowing.set()
        listening = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port: int = listening.sockets[0].getsockname()[1]
        ready.set()
        self._loop.run_forever()
        listening.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(self._server.host, self._server.port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        try:
            with suppress(OSError):
                await asyncio.gather(self._pump(reader, far_writer, False), self._pump(far_reader, writer, True))
        except asyncio.CancelledError:
            pass  # the soak is over
        finally:
            for each in (writer, far_writer):
                each.transport.abort()
                self._writers.discard(each)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, replies: bool) -> None:
        while data := await reader.read(_PIECE):
            await self._flowing.wait()
            if self.delay:
                await asyncio.sleep(self.delay)
            if replies and self._cut_after is not None:
                piece, self._cut_after = data[: self._cut_after], None
                writer.write(piece)
                await writer.drain()
                raise ConnectionResetError
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError  # either end is the end of both

    def cut(self) -> None:
        """End all connections."""
        self._loop.call_soon_threadsafe(self._abort)

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def cut_reply(self, size: int) -> None:
        """End the next connection that gets a reply, after so many bytes of it."""
        self._cut_after = size

    def stall(self) -> None:
        """Let nothing through, and keep it."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def flow(self) -> None:
        """Let everything through that was kept back, and all that follows."""
        self._loop.call_soon_threadsafe(self._flowing.set)

    def close(self) -> None:
        """End."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
