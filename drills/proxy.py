"""A TCP proxy that can fall silent: bytes vanish in both directions and nobody is told (half-open)."""

import asyncio
import contextlib
import threading


class Proxy:
    """Runs on a thread of its own. `silence` swallows what comes on the links that are open now."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._links: set[_Link] = set()
        self._deaf = False
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name="proxy", daemon=True)
        self.port = 0
        self._thread.start()
        started.wait()

    def silence(self, *, newcomers: bool) -> None:
        """From now on nothing gets through on the open links; with `newcomers` on new ones neither."""

        def act() -> None:
            self._deaf = newcomers
            for link in self._links:
                link.deaf = True

        self._loop.call_soon_threadsafe(act)

    def heal(self, *, cut: bool) -> None:
        """New links work again; with `cut` the silent ones are closed, else they stay silent for ever."""

        def act() -> None:
            self._deaf = False
            for link in list(self._links):
                if cut and link.deaf:
                    link.close()

        self._loop.call_soon_threadsafe(act)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._meet, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        server.close()
        self._loop.close()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer, deaf=self._deaf)
        self._links.add(link)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
            link.writers.append(there_writer)
            await asyncio.gather(link.pass_on(reader, there_writer), link.pass_on(there_reader, writer))
        link.close()
        self._links.discard(link)


class _Link:
    def __init__(self, writer: asyncio.StreamWriter, *, deaf: bool) -> None:
        self.writers = [writer]
        self.deaf = deaf

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            if not self.deaf:
                writer.write(data)
                await writer.drain()
        if not self.deaf:
            self.close()

    def close(self) -> None:
        for writer in self.writers:
            writer.close()
