"""Row: one request at a time."""

from typing import NamedTuple

from figures import Line
from llm_bench import TITLES, Bench, Running, beside
from llm_client import ask_one, request
from llm_servers import USUAL
from llm_words import words

TITLE = "One stream"
METHOD = (
    "One request at a time, each with another prompt, so that nothing is known of it. Prompt "
    "tokens/s are those of the prompt by the time to the first token; answer tokens/s are counted "
    "after the first."
)
NOTES: list[str] = []
PROMPTS = (128, 512)
ANSWER = 64
RATIO = 1.0


class Round(NamedTuple):
    first: dict[int, float]  # seconds, by the prompt's length
    prompt_rate: dict[int, float]
    answer_rate: float


def measure(bench: Bench, server: Running, number: int) -> Round:
    first, prompt_rate = {}, {}
    for length in PROMPTS:
        seed = f"single {length} {number}"
        answer = ask_one(server.port, request(words(length, seed), ANSWER))
        first[length] = answer.first
        computed = answer.prompt_tokens - answer.cached_tokens
        prompt_rate[length] = computed / answer.first
    bench.say(f"{server.name}: first token {', '.join(f'{t:.3f}' for t in first.values())} s, "
              f"{answer.tokens_per_second:.1f} tokens/s")
    return Round(first, prompt_rate, answer.tokens_per_second)


def run(bench: Bench) -> list[Line]:
    lines = []
    for model in bench.models:
        table = beside(bench, model, USUAL, bench.rounds(7),
                       lambda server, number: measure(bench, server, number))
        for length in PROMPTS:
            lines += [
                table.line(f"{TITLES[model]}: prompt of {length} tokens", "tokens/s",
                           lambda found, at=length: found.prompt_rate[at], goal=RATIO),
                table.line(f"{TITLES[model]}: first token after {length}", "ms",
                           lambda found, at=length: 1000 * found.first[at],
                           higher_is_better=False, goal=RATIO),
            ]
        lines.append(table.line(f"{TITLES[model]}: answer", "tokens/s",
                                lambda found: found.answer_rate, goal=RATIO))
    return lines
