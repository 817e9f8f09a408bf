"""Asks a server of language models: many streams in one process that costs little CPU itself."""

import asyncio
import json
import time
from collections.abc import Coroutine
from typing import NamedTuple

from figures import NotRun
from llm_events import Answer, EventStream, Refused, answer
from processes import HOST, Process

ANSWER_SECONDS_MAX = 600
MODEL = "llm"  # the name it is served under
COMPLETIONS = "/v1/completions"
CHAT = "/v1/chat/completions"
AGAIN_SECONDS = 0.004


class Request(NamedTuple):
    path: str
    body: dict


def request(prompt: str | list[dict[str, str]], max_tokens: int, exact: bool = True) -> Request:
    """Of text that is gone on with, or of a chat's messages. `exact`: end of text does not end it
    earlier than after max_tokens."""
    asked = {"prompt": prompt} if isinstance(prompt, str) else {"messages": prompt}
    body = {"model": MODEL, **asked, "max_tokens": max_tokens, "temperature": 0, "stream": True,
            "stream_options": {"include_usage": True}}
    if exact:
        body["ignore_eos"] = True
    return Request(COMPLETIONS if isinstance(prompt, str) else CHAT, body)


class _Exchange(asyncio.Protocol):
    """One request on a connection of its own."""

    def __init__(self, message: bytes) -> None:
        self.message = message
        self.stream = EventStream()
        self.events: list[tuple[float, bytes]] = []
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.sent = time.monotonic()
        transport.write(self.message)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic() - self.sent
        try:
            self.events += [(now, event) for event in self.stream.feed(data)]
        except (Refused, ValueError, IndexError) as error:
            self.end(error)
        if self.stream.finished:
            self.end()

    def connection_lost(self, error: Exception | None) -> None:
        self.end(error)

    def end(self, error: Exception | None = None) -> None:
        if self.over.done():
            return
        if error:
            self.over.set_exception(error)
        else:
            self.over.set_result(time.monotonic() - self.sent)


async def ask(port: int, asked: Request) -> Answer:
    """Raises Refused, OSError, or TimeoutError after ANSWER_SECONDS_MAX."""
    body = json.dumps(asked.body).encode()
    head = (f"POST {asked.path} HTTP/1.1\r\nHost: {HOST}:{port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n")
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(ANSWER_SECONDS_MAX):
        transport, exchange = await loop.create_connection(
            lambda: _Exchange(head.encode() + body), HOST, port)
        try:
            ended = await exchange.over
        finally:
            transport.close()
    if exchange.stream.status != 200:
        raise Refused(exchange.stream.status, exchange.stream.body.decode(errors="replace"))
    return answer(exchange.events, ended)


class Asked(NamedTuple):
    answers: list[Answer]
    seconds: float  # all of it
    own_share: float  # of one core, that this program took


def run(work: Coroutine) -> Asked:
    """`work` gives a list of answers. Raises NotRun when a server fails."""
    began, own = time.monotonic(), time.process_time()
    try:
        answers = asyncio.run(work)
    except TimeoutError as error:
        raise NotRun(f"no answer within {ANSWER_SECONDS_MAX} s") from error
    except (Refused, OSError) as error:
        raise NotRun(str(error)) from error
    seconds = time.monotonic() - began
    return Asked(answers, seconds, (time.process_time() - own) / seconds)


async def together(port: int, *streams: list[Request]) -> list[Answer]:
    """All streams at once, each one request after the other."""
    async def stream(requests: list[Request]) -> list[Answer]:
        return [await ask(port, asked) for asked in requests]

    found = await asyncio.gather(*(stream(requests) for requests in streams))
    return [one for answers in found for one in answers]


def ask_all(port: int, *streams: list[Request]) -> Asked:
    return run(together(port, *streams))


def ask_one(port: int, asked: Request) -> Answer:
    return ask_all(port, [asked]).answers[0]


def wait_first(process: Process, port: int, asked: Request, patience: float) -> float:
    """Asks until there is an answer; the seconds from the server's start to its first token.

    While it cannot be connected to or says 503 it is still loading, for up to `patience` seconds;
    other refusals are given a second, then they count.
    """
    async def until_answered() -> list[Answer]:
        refusals_end = process.started + 1.0
        while True:
            process.check_alive()
            sent = time.monotonic()
            try:
                got = await ask(port, asked)
            except (OSError, Refused) as error:
                status = error.status if isinstance(error, Refused) else 503
                end = process.started + patience if status == 503 else refusals_end
                if time.monotonic() > end:
                    raise
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return [got._replace(times=[sent - process.started + t for t in got.times])]

    return run(until_answered()).answers[0].first
