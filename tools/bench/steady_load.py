"""Constant load: so many requests a second, each at its time whether or not the ones before have
been answered, and what became of each. Latency counts from the time at which a request was due, so
a server that stalls is charged for all who had to wait."""

import asyncio
import time
from typing import NamedTuple

from processes import HOST

ANSWER_SECONDS_MAX = 60.0


class Outcome(NamedTuple):
    due: float  # on time.monotonic()'s clock
    seconds: float  # until its answer was there
    status: int  # 0: the connection broke, or nothing came


class SteadyLoad:
    """Runs in the background of an event loop:

        async with SteadyLoad(port, request, rate=80) as load:
            await asyncio.sleep(60)
        load.outcomes
    """

    def __init__(self, port: int, request: bytes, rate: float) -> None:
        self.port, self.request, self.rate = port, request, rate
        self.outcomes: list[Outcome] = []
        self.idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.asked: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "SteadyLoad":
        self.pacing = asyncio.create_task(self.pace())
        return self

    async def __aexit__(self, *error: object) -> None:
        self.pacing.cancel()
        await asyncio.gather(*self.asked)
        for _, writer in self.idle:
            writer.close()

    async def pace(self) -> None:
        due = time.monotonic()
        while True:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            task = asyncio.create_task(self.ask(due))
            self.asked.add(task)
            task.add_done_callback(self.asked.discard)
            due += 1 / self.rate

    async def ask(self, due: float) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                status = await self.exchange()
                while status is None:
                    status = await self.exchange()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            status = 0
        self.outcomes.append(Outcome(due, time.monotonic() - due, status))

    async def exchange(self) -> int | None:
        """The status of one answer. None: a connection that was used before had been closed, as
        servers do with idle ones; clients of HTTP ask again over another then."""
        reused = bool(self.idle)
        if reused:
            reader, writer = self.idle.pop()
        else:
            reader, writer = await asyncio.open_connection(HOST, self.port)
        try:
            writer.write(self.request)
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                if reused and not getattr(error, "partial", b""):
                    writer.close()
                    return None
                raise
            length = head.index(b"content-length:")
            await reader.readexactly(int(head[length + 15:head.index(b"\r\n", length)]))
        except BaseException:
            writer.close()
            raise
        if b"connection: close" in head:
            writer.close()
        else:
            self.idle.append((reader, writer))
        return int(head.split(b" ", 2)[1])


def http_request(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    lines = [f"POST {path} HTTP/1.1", f"Host: {HOST}", f"Content-Length: {len(body)}",
             *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def quantile(outcomes: list[Outcome], share: float) -> float:
    """Of their times, in seconds."""
    times = sorted(each.seconds for each in outcomes)
    return times[min(len(times) - 1, int(share * len(times)))]


def between(outcomes: list[Outcome], begin: float, end: float) -> list[Outcome]:
    return [each for each in outcomes if begin <= each.due < end]


def failed(outcomes: list[Outcome]) -> list[Outcome]:
    return [each for each in outcomes if each.status != 200]
