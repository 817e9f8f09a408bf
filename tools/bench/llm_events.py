"""An answer that comes as server-sent events: its bytes taken apart, and what they amount to.

Parsing is cheap while an answer comes (the program must not take the servers' CPU time): the JSON
of the events is read when it has ended.
"""

import json
from typing import NamedTuple

END = b"[DONE]"
HEAD_BYTES_MAX = 64 * 1024


class Refused(Exception):
    """The server answered with another status than 200."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"answered {status}: {' '.join(text.split())[:200]}")
        self.status = status


class EventStream:
    """The bytes of one HTTP/1.1 answer, chunked or up to the end of the connection."""

    def __init__(self) -> None:
        self.status = 0
        self.finished = False
        self.body = b""  # of what is no event: an error's text
        self._pending = b""  # not taken apart yet: of the head, then of a chunk
        self._lines = b""
        self._chunked = False
        self._left = 0  # of the chunk that is being read, with its line end

    def feed(self, data: bytes) -> list[bytes]:
        """The `data:` of the events that have come whole."""
        self._pending += data
        if not self.status and not self._read_head():
            return []
        found = self._events(self._unchunked() if self._chunked else self._all())
        self.finished |= END in found
        return [event for event in found if event != END]

    def _read_head(self) -> bool:
        head, end, rest = self._pending.partition(b"\r\n\r\n")
        if not end:
            if len(self._pending) > HEAD_BYTES_MAX:
                raise Refused(0, "a head without an end")
            return False
        lines = head.split(b"\r\n")
        self.status = int(lines[0].split()[1])
        fields = (line.lower().replace(b" ", b"") for line in lines[1:])
        self._chunked = b"transfer-encoding:chunked" in fields
        self._pending = rest
        return True

    def _all(self) -> bytes:
        data, self._pending = self._pending, b""
        return data

    def _unchunked(self) -> bytes:
        out = []
        while self._pending and not self.finished:
            if self._left == 0:
                size, end, rest = self._pending.partition(b"\r\n")
                if not end:
                    break
                self._pending = rest
                length = int(size.split(b";")[0], 16)
                self.finished = length == 0
                self._left = length + 2
            taken = self._pending[:self._left]
            self._pending = self._pending[len(taken):]
            out.append(taken[:max(0, self._left - 2)])
            self._left -= len(taken)
        return b"".join(out)

    def _events(self, data: bytes) -> list[bytes]:
        if self.status != 200:
            self.body += data
            return []
        *lines, self._lines = (self._lines + data).split(b"\n")
        return [line[5:].strip() for line in lines if line.startswith(b"data:")]


class Answer(NamedTuple):
    """Times in seconds since the request was sent."""

    text: str
    times: list[float]  # of each event that brought text
    ended: float
    prompt_tokens: int
    cached_tokens: int  # of these: not computed again
    completion_tokens: int

    @property
    def first(self) -> float:
        return self.times[0]

    @property
    def gaps(self) -> list[float]:
        return [after - before for before, after in zip(self.times, self.times[1:], strict=False)]

    @property
    def tokens_per_second(self) -> float:
        """After the first one."""
        return (self.completion_tokens - 1) / (self.times[-1] - self.times[0])


def answer(events: list[tuple[float, bytes]], ended: float) -> Answer:
    """Raises Refused when the events hold an error, no text or no usage."""
    text, times, usage = [], [], None
    for time, data in events:
        event = json.loads(data)
        if "error" in event:
            raise Refused(200, json.dumps(event["error"]))
        usage = event.get("usage") or usage
        for choice in event.get("choices", []):
            piece = choice.get("text") or choice.get("delta", {}).get("content")
            if piece:
                text.append(piece)
                times.append(time)
    if not times:
        raise Refused(200, "an answer without text")
    if usage is None:
        raise Refused(200, "an answer without usage")
    details = usage.get("prompt_tokens_details") or {}
    return Answer("".join(text), times, ended, usage["prompt_tokens"],
                  details.get("cached_tokens", 0), usage["completion_tokens"])
