"""Draws a request's stages as a text bar chart: a row a stage, time from left to right."""

from typing import Any

WIDTH = 48
ROWS_MAX = 24


def _bar(spans: list[tuple[int, int]], start: int, total: int) -> str:
    """One row: full blocks where the stage ran, a thin mark where it was shorter than a column."""
    cells = [" "] * WIDTH
    for begin, end in spans:
        left = min((begin - start) * WIDTH / total, WIDTH - 1)
        right = (end - start) * WIDTH / total
        for column in range(int(left), max(int(left) + 1, min(round(right), WIDTH))):
            if right - left >= 0.5:
                cells[column] = "█"
            elif cells[column] == " ":
                cells[column] = "▏"
    return "".join(cells)


def draw(stages: list[dict[str, Any]]) -> list[str]:
    """Rows in order of first start; a stage that ran several times is one row with its count.

    A stage is {"stage": str, "start_us": int, "end_us": int, "thread": str}.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for stage in sorted(stages, key=lambda stage: (stage["start_us"], stage["end_us"])):
        groups.setdefault(stage["stage"], []).append(stage)
    start = min(stage["start_us"] for stage in stages)
    total = max(1, max(stage["end_us"] for stage in stages) - start)
    names = {
        name: name + (f" ×{len(runs)}" if len(runs) > 1 else "") for name, runs in groups.items()
    }
    width = max(map(len, names.values()))
    lines = []
    for name, runs in list(groups.items())[:ROWS_MAX]:
        spans = [(stage["start_us"], stage["end_us"]) for stage in runs]
        spent = sum(end - begin for begin, end in spans) / 1e3
        threads = sorted({str(stage["thread"]) for stage in runs})
        shown = ", ".join(threads[:3]) + (" …" if len(threads) > 3 else "")
        bar = _bar(spans, start, total)
        lines.append(f"{names[name]:<{width}} |{bar}| {spent:8.2f} ms  {shown}")
    if len(groups) > ROWS_MAX:
        lines.append(f"… and {len(groups) - ROWS_MAX} more stages")
    lines.append(f"{'':<{width}}  0{total / 1e3:>{WIDTH - 1}.1f} ms")
    return lines
