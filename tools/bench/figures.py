"""What a row of the benchmarks consists of, and what follows from its figures. Pure."""

import dataclasses
import statistics
from collections.abc import Iterable


class NotRun(Exception):
    """Something a figure needs is missing or failed; the message says what."""


@dataclasses.dataclass(frozen=True)
class Goal:
    """kind: `ahead` of each peer; `at_least` or `at_most` a value; `of_limit` and `of_peer`: the
    figure divided by the limit, or by the best peer's, is at least (where higher is better) or at
    most the value."""

    kind: str
    value: float = 0.0


@dataclasses.dataclass
class Line:
    """One figure: ours, those of peers, and what can be reached at best. Text says why there is
    none."""

    what: str
    unit: str
    baozi: float | str
    peers: dict[str, float | str] = dataclasses.field(default_factory=dict)
    limit_name: str = ""
    limit: float | str = ""
    higher_is_better: bool = True
    goal: Goal | None = None


@dataclasses.dataclass
class Row:
    key: str
    title: str
    method: str
    measured: str  # date, time and commit
    seconds: float  # it took
    lines: list[Line]
    notes: list[str] = dataclasses.field(default_factory=list)


def median(values: Iterable[float]) -> float:
    return statistics.median(list(values))


def measured(values: list[float], missing: str = "no figure") -> float | str:
    """The median of the rounds, or why there is none."""
    return median(values) if values else f"not run: {missing}"


def numbers(peers: dict[str, float | str]) -> dict[str, float]:
    return {name: value for name, value in peers.items() if not isinstance(value, str)}


def best_peer(line: Line) -> tuple[str, float] | None:
    ran = numbers(line.peers)
    if not ran:
        return None
    choose = max if line.higher_is_better else min
    return choose(ran.items(), key=lambda item: item[1])


def times_better(line: Line) -> float | None:
    """How many times better than the best peer; None where either is missing."""
    best = best_peer(line)
    if best is None or isinstance(line.baozi, str):
        return None
    good, bad = (line.baozi, best[1]) if line.higher_is_better else (best[1], line.baozi)
    return good / bad if bad else None


def of_limit(line: Line) -> float | None:
    if isinstance(line.baozi, str) or isinstance(line.limit, str) or not line.limit:
        return None
    return line.baozi / line.limit


def of_peer(line: Line) -> float | None:
    """Divided by the best peer's."""
    best = best_peer(line)
    if best is None or isinstance(line.baozi, str) or not best[1]:
        return None
    return line.baozi / best[1]


def met(line: Line) -> bool | None:
    """None: there is no goal, or a figure that it needs is missing."""
    if line.goal is None or isinstance(line.baozi, str):
        return None
    kind, value = line.goal.kind, line.goal.value
    if kind == "ahead":
        times = times_better(line)
        return None if times is None else times > 1
    if kind in ("of_limit", "of_peer"):
        share = of_limit(line) if kind == "of_limit" else of_peer(line)
        if share is None:
            return None
        return share >= value if line.higher_is_better else share <= value
    return line.baozi >= value if kind == "at_least" else line.baozi <= value


def to_dict(row: Row) -> dict:
    plain = dataclasses.asdict(row)
    for entry, line in zip(plain["lines"], row.lines, strict=True):
        entry |= {"times_better": times_better(line), "of_limit": of_limit(line),
                  "of_peer": of_peer(line), "met": met(line)}
    return plain


def from_dict(plain: dict) -> Row:
    names = {field.name for field in dataclasses.fields(Line)}
    lines = []
    for entry in plain["lines"]:
        given = {name: value for name, value in entry.items() if name in names}
        given["goal"] = Goal(**given["goal"]) if given["goal"] else None
        lines.append(Line(**given))
    return Row(**{**plain, "lines": lines})
