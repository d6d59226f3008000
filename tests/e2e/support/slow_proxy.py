"""A proxy before PostgreSQL that holds answers back now and then, so that what a reader has just
been told is old before it arrives. It listens on a socket of its own and runs as a process."""

import asyncio
import contextlib
import random
from urllib.parse import parse_qsl, urlencode, urlsplit

from support.harness import new_directory, wait_until


class SlowProxy:
    """Of the answers to clients, `share` are held back by up to `longest` seconds."""

    def __init__(self, context, cluster, share=0.3, longest=0.06, seed=0):
        self.socket_dir = new_directory("p")
        self._name = f".s.PGSQL.{cluster.port}"
        self._behind = str(cluster.socket_dir / self._name)
        self._share, self._longest = share, longest
        self._random = random.Random(seed)
        self.process = context.Process(target=self._run, name="proxy", daemon=True)

    def start(self):
        """Its process."""
        self.process.start()
        wait_until((self.socket_dir / self._name).exists, what="the proxy's socket")
        return self.process

    def url(self, url):
        """What leads here instead of to the server."""
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query)) | {"host": str(self.socket_dir)}
        return parts._replace(query=urlencode(query)).geturl()

    def _run(self):
        asyncio.run(self._serve())

    async def _serve(self):
        server = await asyncio.start_unix_server(self._connect, str(self.socket_dir / self._name))
        await server.serve_forever()

    async def _connect(self, reader, writer):
        with contextlib.suppress(OSError):
            behind_reader, behind_writer = await asyncio.open_unix_connection(self._behind)
            ways = [asyncio.ensure_future(self._pump(reader, behind_writer, 0)),
                    asyncio.ensure_future(self._pump(behind_reader, writer, self._share))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            behind_writer.close()
        writer.close()

    async def _pump(self, source, target, share):
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if self._random.random() < share:
                    await asyncio.sleep(self._random.uniform(0.002, self._longest))
                target.write(data)
                await target.drain()
