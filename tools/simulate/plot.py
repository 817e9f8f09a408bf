"""A line plot as SVG: standard library only, readable on light and dark backgrounds."""

import html
import math
from collections.abc import Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 760, 240
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 34, 34
# Told apart also by those who see fewer colours (Okabe and Ito); grey for text and axes.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#888888")
INK = "#7a7a7a"


class Series(NamedTuple):
    name: str
    points: Sequence[tuple[float, float]]


def nice_ticks(most: float, count: int = 4) -> list[float]:
    """From 0 to at least `most`, in steps of 1, 2 or 5 times a power of ten."""
    if most <= 0:
        return [0.0, 1.0]
    rough = most / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * by for by in (1, 2, 5, 10) if power * by >= rough)
    return [step * number for number in range(math.ceil(most / step - 1e-9) + 1)]


def tick_text(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:g}"


def plot(title: str, x_name: str, series: Sequence[Series]) -> str:
    """`x_name` with its unit; the title says what y is."""
    xs = nice_ticks(max(x for each in series for x, _ in each.points), 8)
    ys = nice_ticks(max(y for each in series for _, y in each.points))
    right = max(x for each in series for x, _ in each.points)

    def at(x: float, y: float) -> tuple[float, float]:
        return (LEFT + (WIDTH - LEFT - RIGHT) * x / right,
                HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * y / ys[-1])

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
           f'font-family="sans-serif" font-size="12" fill="{INK}" role="img">',
           f"<title>{html.escape(title)}</title>",
           f'<text x="{LEFT}" y="14" font-weight="bold">{html.escape(title)}</text>']
    for y in ys:
        left, level = at(0, y)
        out.append(f'<path d="M{left:.1f} {level:.1f}H{WIDTH - RIGHT}" stroke="{INK}" '
                   f'stroke-opacity=".3"/><text x="{left - 6:.1f}" y="{level + 4:.1f}" '
                   f'text-anchor="end">{tick_text(y)}</text>')
    for x in (x for x in xs if x <= right):
        place, bottom = at(x, 0)
        out.append(f'<text x="{place:.1f}" y="{bottom + 16:.1f}" text-anchor="middle">'
                   f'{tick_text(x)}</text>')
    out.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">'
               f'{html.escape(x_name)}</text>')
    legend = LEFT
    for number, each in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join("{:.1f},{:.1f}".format(*at(x, y)) for x, y in each.points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" '
                   f'stroke-width="1.6" stroke-linejoin="round"/>')
        out.append(f'<path d="M{legend} 24h16" stroke="{colour}" stroke-width="3"/>'
                   f'<text x="{legend + 20}" y="28">{html.escape(each.name)}</text>')
        legend += 34 + 7 * len(each.name)
    return "\n".join([*out, "</svg>"]) + "\n"
