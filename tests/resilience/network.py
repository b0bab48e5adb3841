"""A network that fails: a proxy before PostgreSQL that can drop, delay or reset what passes."""

import asyncio
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from urllib.parse import urlsplit

RESET = struct.pack("ii", 1, 0)


class Network:
    """The way to one port; while it is cut nothing passes and nobody is told, as with a cable pulled."""

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
        """Carry one connection both ways."""
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
        """Carry what comes, each piece after the delay, and the end."""
        with suppress(OSError):
            while piece := await reader.read(65536):
                await asyncio.sleep(self.delay_seconds)
                await self.whole.wait()
                writer.write(piece)
                await writer.drain()
            await self.whole.wait()
        writer.close()

    def cut(self) -> None:
        """Let nothing pass any more."""
        self.loop.call_soon_threadsafe(self.whole.clear)

    def mend(self) -> None:
        """Let everything pass again at once."""
        self.delay_seconds = 0
        self.loop.call_soon_threadsafe(self.whole.set)

    def delay(self, seconds: float) -> None:
        """Let everything pass late from now on, each way."""
        self.delay_seconds = seconds

    def reset(self, last: bytes = b"") -> None:
        """Break every connection off, after some last bytes."""
        asyncio.run_coroutine_threadsafe(self._reset(last), self.loop).result()

    async def _reset(self, last: bytes) -> None:
        for writer in self.writers:
            writer.write(last)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()

    async def end(self) -> None:
        """Carry nothing any more."""
        self.server.close()
        self.whole.set()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def network(url: str) -> Iterator[tuple[Network, str]]:
    """Give a network before the database, and the URL that leads through it."""
    way = Network(urlsplit(url).port)
    way.thread.start()
    try:
        yield way, url.replace(f":{way.target}/", f":{way.port}/")
    finally:
        asyncio.run_coroutine_threadsafe(way.end(), way.loop).result()
        way.loop.call_soon_threadsafe(way.loop.stop)
        way.thread.join()
        way.loop.close()
