"""Row: from exec to the first token."""

from figures import Line
from llm_bench import TITLES, Bench, served, take_turns
from llm_client import Request, ask_one, request
from llm_servers import OURS, USUAL, Contender, Shape, variant
from llm_words import chat, words

TITLE = "Restart"
METHOD = (
    "From the server's exec to the first token, the model's file being in the page cache; requests "
    "are tried again every 4 ms until one is answered. With a prompt of 128 tokens, and with a "
    "question after a system prompt of 2,000 tokens that was asked before the restart: baozi keeps "
    "it on disk, the peer computes it again."
)
NOTES: list[str] = []
PROMPT = 128
SYSTEM = 2000
ANSWER = 2
KNOWN_SHAPE = Shape(8, 2304)
RATIO = 0.7
KNOWN_RATIO = 0.15


def restart(bench: Bench, contender: Contender, model: str, shape: Shape, first: Request) -> float:
    with served(bench, contender, model, shape, first) as server:
        bench.say(f"{contender.name}: {server.first_seconds:.3f} s")
        return server.first_seconds


def fresh(bench: Bench, model: str, contenders: list[Contender], what: str,
          goal: float | None) -> Line:
    table = take_turns(bench, bench.rounds(5), contenders, lambda contender, number: restart(
        bench, contender, model, USUAL, request(words(PROMPT, f"restart {number}"), ANSWER)))
    return table.line(f"{TITLES[model]}: {what}", "ms", lambda seconds: 1000 * seconds,
                      higher_is_better=False, goal=goal)


def known(bench: Bench, model: str) -> Line:
    """Each question after the system prompt is another, so that only the latter can be known."""
    def measure(contender: Contender, number: int) -> float:
        system = words(SYSTEM, f"known {number}")

        def question(part: int) -> Request:
            return request(chat(system, words(16, f"known {number} {part}")), ANSWER)

        with served(bench, contender, model, KNOWN_SHAPE, question(0)) as server:
            ask_one(server.port, question(1))
        return restart(bench, contender, model, KNOWN_SHAPE, question(2))

    table = take_turns(bench, bench.rounds(3), bench.contenders, measure)
    return table.line(f"{TITLES[model]}: with a system prompt known before", "ms",
                      lambda seconds: 1000 * seconds, higher_is_better=False, goal=KNOWN_RATIO)


def run(bench: Bench) -> list[Line]:
    ours = [contender for contender in bench.contenders if contender.name == OURS]
    lines = []
    for model in bench.models:
        bench.model(model).read_bytes()  # into the page cache
        lines += [
            fresh(bench, model, bench.contenders, "prompt of 128 tokens", RATIO),
            fresh(bench, model, [*ours, variant("quick-start")],
                  "the same, the peer told to start quickly", None),
            known(bench, model),
        ]
    return lines
