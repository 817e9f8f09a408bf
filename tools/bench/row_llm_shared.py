"""Row: many users of one long system prompt."""

from typing import NamedTuple

from figures import Line, median
from llm_bench import TITLES, Bench, Running, beside
from llm_client import ask_all, request
from llm_servers import Shape
from llm_words import chat, words

TITLE = "A shared system prompt"
METHOD = (
    "Eight clients ask at once, each its own question after the same system prompt of 2,000 "
    "tokens: first with a system prompt that is new to the server, then other questions with the "
    "same one. Times are until the first token."
)
NOTES: list[str] = []
CLIENTS = 8
SYSTEM = 2000
QUESTION = 24
ANSWER = 8
SHAPE = Shape(CLIENTS, 2304)
NEW_RATIO = 0.25
CACHED_RATIO = 0.5


class Times(NamedTuple):
    median: float
    all: float


class Round(NamedTuple):
    new: Times
    cached: Times


def measure(bench: Bench, server: Running, number: int) -> Round:
    system = words(SYSTEM, f"shared {number}")

    def ask(part: str) -> Times:
        asked = ask_all(server.port, *(
            [request(chat(system, words(QUESTION, f"shared {number} {part} {client}")), ANSWER)]
            for client in range(CLIENTS)))
        first = [answer.first for answer in asked.answers]
        times = Times(median(first), max(first))
        bench.say(f"{server.name}, {part}: median {times.median:.2f} s, all {times.all:.2f} s")
        return times

    return Round(ask("new"), ask("cached"))


def run(bench: Bench) -> list[Line]:
    lines = []
    for model in bench.models:
        table = beside(bench, model, SHAPE, bench.rounds(3),
                       lambda server, number: measure(bench, server, number))
        for part, goal in (("new", NEW_RATIO), ("cached", CACHED_RATIO)):
            lines += [
                table.line(f"{TITLES[model]}, {part}: until all have theirs", "s",
                           lambda found, at=part: getattr(found, at).all,
                           higher_is_better=False, goal=goal),
                table.line(f"{TITLES[model]}, {part}: median", "s",
                           lambda found, at=part: getattr(found, at).median,
                           higher_is_better=False, goal=goal),
            ]
    return lines
