"""Row: a machine that has other work."""

import contextlib
import sys
from collections.abc import Iterator

from figures import Line
from llm_bench import TITLES, Bench, Running, beside
from llm_client import ask_one, request
from llm_servers import THREADS, USUAL
from llm_words import words
from processes import Process

TITLE = "Beside busy processes"
METHOD = (
    f"One stream while {THREADS} processes compute without end beside it, at the same priority: "
    "tokens/s after the first of an answer."
)
NOTES: list[str] = []
PROMPT = 16
ANSWER = 48
RATIO = 1.3


@contextlib.contextmanager
def busy(bench: Bench) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for number in range(THREADS):
            stack.enter_context(Process([sys.executable, "-c", "while True: pass"],
                                        bench.out / f"busy-{number}.log"))
        yield


def measure(bench: Bench, server: Running, number: int) -> float:
    with busy(bench):
        asked = request(words(PROMPT, f"busy {number}"), ANSWER)
        rate = ask_one(server.port, asked).tokens_per_second
    bench.say(f"{server.name}: {rate:.1f} tokens/s")
    return rate


def run(bench: Bench) -> list[Line]:
    lines = []
    for model in bench.models:
        table = beside(bench, model, USUAL, bench.rounds(5),
                       lambda server, number: measure(bench, server, number))
        lines.append(table.line(f"{TITLES[model]}: answer", "tokens/s", lambda rate: rate,
                                goal=RATIO))
    return lines
