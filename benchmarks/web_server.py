"""A web server on loopback that keeps connections open and answers every GET with one JPEG.

Run as `python web_server.py BYTES`; prints its port, and ends with its standard input.
"""

import asyncio
import sys


class Answering(asyncio.Protocol):
    """One connection; requests may come in pieces."""

    answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data
        *requests, self.received = self.received.split(b"\r\n\r\n")
        for _ in requests:
            self.transport.write(self.answer)  # type: ignore[attr-defined]


async def main(size: int) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {size}\r\n\r\n"
    Answering.answer = head.encode() + bytes(size)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
