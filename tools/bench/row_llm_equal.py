"""Row: the same answers."""

import itertools

from figures import Goal, Line
from llm_bench import Bench, Running, beside
from llm_client import ask_one, request
from llm_servers import OURS, PEER, USUAL
from llm_words import QUESTIONS, chat

TITLE = "Equal answers"
METHOD = (
    "SmolLM2-135M at temperature 0, one request at a time: how many texts are the peer's, letter "
    "for letter. The peer's kernels are compiled for this processor, baozi's are those that were "
    "chosen for it at run time."
)
NOTES: list[str] = []
MODEL = "smollm2"
TOKENS = 48
SYSTEM = "You are a helpful assistant."


def texts(bench: Bench, server: Running) -> dict[str, list[str]]:
    asked = {
        "completions": [request(question, TOKENS, exact=False) for question in QUESTIONS],
        "chats": [request(chat(SYSTEM, question), TOKENS, exact=False) for question in QUESTIONS],
    }
    found = {kind: [ask_one(server.port, one).text for one in requests]
             for kind, requests in asked.items()}
    lines = itertools.chain.from_iterable(found.values())
    (bench.out / f"llm-texts-{server.name}.txt").write_text("\n---\n".join(lines))
    return found


def run(bench: Bench) -> list[Line]:
    table = beside(bench, MODEL, USUAL, 1, lambda server, number: texts(bench, server))
    lines = []
    for kind in ("completions", "chats"):
        both = [table.found.get(name, []) for name in (OURS, PEER)]
        equal: float | str
        if all(both):
            equal = sum(a == b for a, b in zip(both[0][0][kind], both[1][0][kind], strict=True))
        else:
            name = PEER if both[0] else OURS
            equal = f"not run: {table.missing.get(name, f'{name} is not in this run')}"
        lines.append(Line(f"equal {kind}", f"of {len(QUESTIONS)}", equal,
                          goal=Goal("at_least", len(QUESTIONS))))
    return lines
