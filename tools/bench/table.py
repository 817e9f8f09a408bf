"""The rows as text: lines for the terminal, and the page docs/benchmarks.md. Pure."""

from figures import Line, Row, best_peer, met, of_limit, of_peer, times_better

HEAD = """# Benchmarks

Written by `make bench` (tools/bench/run.py) from measurements; not by hand. Peers run in the same
minutes as baozi, in alternating rounds; a figure is the median of its rounds. *Times better* is
against the best peer, above 1 is ahead; *of limit* is baozi divided by the limit beside it.
"""


def number(value: float | str) -> str:
    if isinstance(value, str):
        return value
    size = abs(value)
    if 0 < size < 0.1:
        return f"{value:.2g}"
    decimals = 0 if size >= 100 or value == int(value) else 1 if size >= 10 else 2
    return f"{value:,.{decimals}f}"


def goal_text(line: Line) -> str:
    if line.goal is None:
        return "–"
    value = number(line.goal.value)
    beside = "≥" if line.higher_is_better else "≤"
    return {
        "ahead": "ahead of each",
        "at_least": f"≥ {value}",
        "at_most": f"≤ {value}",
        "of_limit": f"{beside} {value} of limit",
        "of_peer": f"{beside} {value} of the peer",
    }[line.goal.kind]


def met_text(line: Line) -> str:
    verdict = met(line)
    if verdict is None:
        return "not measured" if line.goal else "–"
    return "yes" if verdict else "**no**"


def ratio_text(line: Line) -> str:
    parts = []
    times, best, share = times_better(line), best_peer(line), of_limit(line)
    of_best = of_peer(line) if line.goal and line.goal.kind == "of_peer" else None
    if of_best is not None and best is not None:
        parts.append(f"{number(of_best)} of {best[0]}")
    elif times is not None and best is not None:
        parts.append(f"{number(times)} × {best[0]}")
    if share is not None:
        parts.append(f"{number(share)} of limit")
    return ", ".join(parts) or "–"


def peers_text(line: Line) -> str:
    """Why one did not run stands below the table."""
    texts = (f"{name} {'not run' if isinstance(value, str) else number(value)}"
             for name, value in line.peers.items())
    return "; ".join(texts) or "–"


def reasons(row: Row) -> list[str]:
    found = [f"{name} {value}." for line in row.lines
             for name, value in (*line.peers.items(), (line.limit_name, line.limit))
             if isinstance(value, str) and value]
    return list(dict.fromkeys(found))


def limit_text(line: Line) -> str:
    if not line.limit_name:
        return "–"
    limit = "not run" if isinstance(line.limit, str) else number(line.limit)
    return f"{limit} ({line.limit_name})"


def terminal_line(line: Line) -> str:
    parts = [f"{line.what}: {number(line.baozi)}"]
    if not isinstance(line.baozi, str):
        parts[0] += f" {line.unit}"
    for name, text in (("peers", peers_text(line)), ("limit", limit_text(line)),
                       ("ratio", ratio_text(line)), ("goal", goal_text(line))):
        if text != "–":
            parts.append(f"{name} {text}")
    if line.goal:
        parts.append(f"met: {met_text(line).strip('*')}")
    return " | ".join(parts)


def cells(*texts: str) -> str:
    return "| " + " | ".join(text.replace("|", "\\|").replace("\n", " ") for text in texts) + " |"


def section(row: Row) -> str:
    out = [f"## {row.title}", "", row.method, "",
           f"Measured {row.measured}, in {row.seconds:.0f} s.", "",
           cells("what", "unit", "baozi", "peers", "limit", "ratio", "goal", "met"),
           "|---|---|---|---|---|---|---|---|"]
    for line in row.lines:
        out.append(cells(line.what, line.unit, number(line.baozi), peers_text(line),
                         limit_text(line), ratio_text(line), goal_text(line), met_text(line)))
    for note in [*reasons(row), *row.notes]:
        out += ["", note]
    return "\n".join([*out, ""])


def verdict(rows: list[Row]) -> str:
    lines = [line for row in rows for line in row.lines]
    with_goal = [line for line in lines if line.goal]
    reached = sum(met(line) is True for line in with_goal)
    missing = sum(isinstance(line.baozi, str) for line in lines)
    text = f"{reached} of {len(with_goal)} goals met"
    return text + (f"; {missing} figures could not be measured." if missing else ".")


def page(machine: dict[str, str], rows: list[Row], head: str = HEAD) -> str:
    facts = [cells("of the run", ""), "|---|---|", *(cells(*fact) for fact in machine.items()), ""]
    return "\n".join([head, *facts, verdict(rows), "", *(section(row) for row in rows)])
