"""Rounds in which the servers take turns: what all rows of the language models' benchmark share."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from figures import Goal, Line, NotRun, median
from llm_client import Request, request, wait_first
from llm_servers import OURS, USUAL, Contender, Shape
from llm_words import words
from processes import Process
from setting import Setting, rotated, settle

READY_SECONDS_MAX = 60
TITLES = {"smollm2": "SmolLM2-135M", "synthetic_llm": "synthetic 0.5B"}
Found = TypeVar("Found")


class Bench(NamedTuple):
    """What is measured in this run. `setting` says where things are and how long a run may be."""

    setting: Setting
    contenders: list[Contender]
    models: list[str]  # keys of TITLES
    full: bool

    @property
    def out(self) -> Path:
        return self.setting.out

    def model(self, name: str) -> Path:
        path = self.setting.cache / "models" / name / "1" / "model.gguf"
        if not path.exists():
            raise NotRun(f"the model {name} is missing (tools/models/prepare.py makes it)")
        return path

    def rounds(self, full: int) -> int:
        return 1 if self.setting.quick else full

    def say(self, text: str) -> None:
        self.setting.say(text)


class Running(NamedTuple):
    name: str
    process: Process
    port: int
    first_seconds: float  # from exec to the first token of the first answer


class Table:
    """What the rounds found, a list a server, and why a server has none."""

    def __init__(self, names: list[str]) -> None:
        self.found: dict[str, list] = {name: [] for name in names}
        self.missing: dict[str, str] = {}

    def line(self, what: str, unit: str, pick: Callable[[Found], float], *,
             higher_is_better: bool = True, goal: float | None = None) -> Line:
        """The medians of what `pick` takes out of each round. The goal is a ratio to the peer."""
        def figure(name: str) -> float | str:
            if values := [pick(one) for one in self.found.get(name, [])]:
                return median(values)
            return f"not run: {self.missing.get(name, 'not in this run')}"

        peers = {name: figure(name) for name in self.found if name != OURS}
        return Line(what, unit, figure(OURS), peers, higher_is_better=higher_is_better,
                    goal=None if goal is None else Goal("of_peer", goal))


def tiny(seed: str) -> Request:
    return request(words(8, seed), 2)


@contextlib.contextmanager
def served(bench: Bench, contender: Contender, model: str, shape: Shape,
           first: Request | None = None) -> Iterator[Running]:
    """A server that has answered once, `first` or a tiny request. Ended with the block."""
    process, port = contender.start(bench.setting, bench.model(model), shape)
    with process:
        seconds = wait_first(process, port, first or tiny(contender.name), READY_SECONDS_MAX)
        yield Running(contender.name, process, port, seconds)


def those_that_start(bench: Bench) -> list[Contender]:
    """Tried once with one model, so that what cannot run is not tried for every row."""
    starting = []
    for contender in bench.contenders:
        try:
            with served(bench, contender, bench.models[0], USUAL):
                starting.append(contender)
        except NotRun as error:
            bench.say(f"{contender.name} is left out: {error}")
    return starting


def take_turns(bench: Bench, count: int, contenders: list[Contender],
               measure: Callable[[Contender, int], Found]) -> Table:
    """Calls `measure(contender, round)`, in another order each round. Who fails once is left out.

    Raises NotRun when the time of the whole run is over before the first round.
    """
    table = Table([contender.name for contender in contenders])
    for number in range(count):
        for contender in rotated(contenders, number):
            if contender.name in table.missing:
                continue
            if time.monotonic() > bench.setting.over:
                table.missing.setdefault(contender.name, "the time for the whole run was over")
                continue
            settle()
            try:
                table.found[contender.name].append(measure(contender, number))
            except NotRun as error:
                table.missing[contender.name] = str(error)
                table.found[contender.name] = []
                bench.say(f"{contender.name} not run: {error}")
    return table


def beside(bench: Bench, model: str, shape: Shape, count: int,
           measure: Callable[[Running, int], Found]) -> Table:
    """take_turns with servers that are all up, of which one is asked at a time."""
    with contextlib.ExitStack() as stack:
        running: dict[str, Running] = {}
        missing: dict[str, str] = {}
        for contender in bench.contenders:
            try:
                running[contender.name] = stack.enter_context(
                    served(bench, contender, model, shape))
            except NotRun as error:
                missing[contender.name] = str(error)
                bench.say(f"{contender.name} not run: {error}")
        up = [contender for contender in bench.contenders if contender.name in running]
        table = take_turns(bench, count, up, lambda contender, number: measure(
            running[contender.name], number))
    for contender in bench.contenders:
        table.found.setdefault(contender.name, [])
    table.missing |= missing
    return table
