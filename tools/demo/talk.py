"""The demo's conversation with a language model: two guests ask the same cook, and the second is
answered at once."""

import http.client
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

# What the cook is told before each guest: read once, for both.
COOK = """You are the cook of a small shop for steamed buns. You answer guests in one short and
friendly sentence. This is how the shop works. The shop opens at seven in the morning and closes
at nine in the evening. Water is put on before the doors open, so that the first guest gets a hot
bun. The buns are made of wheat flour, yeast, sugar and warm water. The dough rests for one hour,
is rolled into small rounds, is filled, folded and rests again for half an hour. Then the buns are
steamed for twelve minutes. Ten bamboo trays are steamed at once, one above the other. There are
five kinds of buns. The first kind is filled with pork and spring onions. The second kind is
filled with beef and carrots. The third kind is filled with cabbage, mushrooms and glass noodles,
and has no meat. The fourth kind is filled with sweet red bean paste. The fifth kind has no
filling at all and is eaten with soup. A bun costs two yuan, a bowl of soup costs five yuan, and
tea is free. Guests who come every day do not need to order: the cook remembers what they like. At
noon, when many guests come, two more tables are put out in front of the door. Buns that are left
in the evening are given to the neighbours."""
# Each with a word that the right answer has.
QUESTIONS = (("When does the shop open?", "seven"), ("How long are the buns steamed?", "twelve"))
ANSWER_TOKENS = 40
PIECES_MIN = 3
# Of the second guest's prompt: all but the question is known.
KNOWN_MIN = 0.8


class TalkFailure(Exception):
    """The conversation did not go as it should."""


class Talk(NamedTuple):
    first_ms: float  # from the question to the first word
    text: str
    usage: dict[str, Any]

    @property
    def known(self) -> int:
        return int(self.usage["prompt_tokens_details"]["cached_tokens"])


def events(response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    """Server-sent events until [DONE]."""
    while line := response.readline():
        if not line.startswith(b"data: "):
            continue
        data = line[len(b"data: ") :].strip()
        if data == b"[DONE]":
            return
        yield json.loads(data)
    raise TalkFailure("the stream ended without [DONE]")


def ask(connection: http.client.HTTPConnection, model: str, question: str,
        show: Callable[[str], None]) -> Talk:
    """OpenAI's chat completions, streamed."""
    body = json.dumps({
        "model": model,
        "messages": [{"role": "system", "content": COOK.replace("\n", " ")},
                     {"role": "user", "content": question}],
        "max_tokens": ANSWER_TOKENS, "temperature": 0,
        "stream": True, "stream_options": {"include_usage": True},
    })
    start = time.monotonic()
    connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    if response.status != 200:
        raise TalkFailure(f"HTTP {response.status}: {response.read()[:500].decode()}")
    first = 0.0
    pieces: list[str] = []
    usage: dict[str, Any] = {}
    for event in events(response):
        usage = event.get("usage") or usage
        for choice in event["choices"]:
            if text := choice["delta"].get("content"):
                first = first or time.monotonic()
                pieces.append(text)
                show(text)
    response.read()
    if len(pieces) < PIECES_MIN:
        raise TalkFailure(f"the answer came in {len(pieces)} pieces, not word by word")
    return Talk(1e3 * (first - start), "".join(pieces), usage)
