"""A faulty network: a proxy in front of PostgreSQL that can drop, delay or reset traffic."""

import asyncio
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from urllib.parse import urlsplit

RESET = struct.pack("ii", 1, 0)


class Network:
    """A proxy for one port; while it is cut, it drops traffic silently, as an unplugged cable does."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.delay_seconds = 0.0
        self.loop = asyncio.new_event_loop()
        self.whole = asyncio.Event()
        self.whole.set()
        self.writers: set[asyncio.StreamWriter] = set()
        self.server = self.loop.run_until_complete(asyncio.start_server(self.pass_on, "127.0.0.1", 0))
        self.port = self.server.sockets[0].getsockname()[1]
        self.thread = Thread(target=self.loop.run_forever)

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection in both directions."""
        with suppress(OSError):
            await self.whole.wait()
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            self.writers |= {writer, far_writer}
            try:
                await asyncio.gather(self.carry(reader, far_writer), self.carry(far_reader, writer))
            finally:
                for each in (writer, far_writer):
                    self.writers.discard(each)
                    each.close()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward each chunk and the end of the stream after the delay."""
        with suppress(OSError):
            while piece := await reader.read(65536):
                await asyncio.sleep(self.delay_seconds)
                await self.whole.wait()
                writer.write(piece)
                await writer.drain()
            await self.whole.wait()
        writer.close()

    def cut(self) -> None:
        """Drop all traffic from now on."""
        self.loop.call_soon_threadsafe(self.whole.clear)

    def mend(self) -> None:
        """Forward all traffic without delay again."""
        self.delay_seconds = 0
        self.loop.call_soon_threadsafe(self.whole.set)

    def delay(self, seconds: float) -> None:
        """Delay all traffic from now on, in each direction."""
        self.delay_seconds = seconds

    def reset(self, last: bytes = b"") -> None:
        """Send the final bytes on all connections, then reset them."""
        asyncio.run_coroutine_threadsafe(self._reset(last), self.loop).result()

    async def _reset(self, last: bytes) -> None:
        for writer in self.writers:
            writer.write(last)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()

    async def end(self) -> None:
        """Stop forwarding."""
        self.server.close()
        self.whole.set()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def network(url: str) -> Iterator[tuple[Network, str]]:
    """Start a proxy for the database; yield it and the URL of the database through it."""
    way = Network(urlsplit(url).port)
    way.thread.start()
    try:
        yield way, url.replace(f":{way.target}/", f":{way.port}/")
    finally:
        asyncio.run_coroutine_threadsafe(way.end(), way.loop).result()
        way.loop.call_soon_threadsafe(way.loop.stop)
        way.thread.join()
        way.loop.close()
