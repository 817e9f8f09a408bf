"""Row: many requests at once."""

import random
from typing import NamedTuple

from figures import Line, NotRun
from llm_bench import TITLES, Bench, Running, beside
from llm_client import Request, ask_all, request
from llm_servers import USUAL, Shape
from llm_words import words

TITLE = "Streams at once"
METHOD = (
    "Every stream asks one request after the other, of seeded lengths: prompts of 16 to 256 "
    "tokens, answers of 16 to 96. Tokens/s are those of prompts and answers together, until the "
    "last answer has ended. A gap is the time between two pieces of one answer, as they arrive."
)
NOTES: list[str] = []
STREAMS = (8, 16)
REQUESTS_OF_A_STREAM = 2
PROMPT = (16, 256)
ANSWER = (16, 96)
RATE_RATIO = 1.0
GAP_RATIO = 0.7


class Round(NamedTuple):
    rate: float
    answer_rate: float
    gap_p99: float  # seconds
    gap_median: float
    own_share: float


def requests(streams: int, each: int, number: int) -> list[list[Request]]:
    lengths = random.Random(f"streams {streams} {number}")
    return [[request(words(lengths.randint(*PROMPT), f"streams {streams} {number} {s} {r}"),
                     lengths.randint(*ANSWER)) for r in range(each)] for s in range(streams)]


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def measure(bench: Bench, server: Running, streams: int, number: int) -> Round:
    each = 1 if bench.setting.quick else REQUESTS_OF_A_STREAM
    asked = ask_all(server.port, *requests(streams, each, number))
    gaps = [gap for answer in asked.answers for gap in answer.gaps]
    if not gaps:
        raise NotRun("no answer came in more than one piece")
    prompts = sum(answer.prompt_tokens for answer in asked.answers)
    answers = sum(answer.completion_tokens for answer in asked.answers)
    found = Round((prompts + answers) / asked.seconds, answers / asked.seconds,
                  quantile(gaps, 0.99), quantile(gaps, 0.5), asked.own_share)
    bench.say(f"{server.name}, {streams} streams: {found.rate:.1f} tokens/s, gap p99 "
              f"{1000 * found.gap_p99:.0f} ms, load program {found.own_share:.1%} of a core")
    return found


def run(bench: Bench) -> list[Line]:
    lines = []
    for model in bench.models:
        for streams in STREAMS:
            shape = Shape(streams, USUAL.context)
            table = beside(bench, model, shape, bench.rounds(3), lambda server, number, n=streams:
                           measure(bench, server, n, number))
            title = f"{TITLES[model]}, {streams} streams"
            lines += [
                table.line(f"{title}: all tokens", "tokens/s", lambda found: found.rate,
                           goal=RATE_RATIO),
                table.line(f"{title}: of that, answers", "tokens/s",
                           lambda found: found.answer_rate),
                table.line(f"{title}: gap, 99th percentile", "ms",
                           lambda found: 1000 * found.gap_p99, higher_is_better=False,
                           goal=GAP_RATIO),
                table.line(f"{title}: gap, median", "ms", lambda found: 1000 * found.gap_median,
                           higher_is_better=False),
                table.line(f"{title}: what the load program took", "% of a core",
                           lambda found: 100 * found.own_share, higher_is_better=False),
            ]
    return lines
