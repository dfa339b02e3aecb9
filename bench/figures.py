"""Arithmetic on measurements: percentiles, medians and how a figure is printed. Pure."""

import math
from collections.abc import Iterable, Sequence


def percentile(values: Iterable[float], share: float) -> float | None:
    """The smallest value that at least `share` percent of all are not above (nearest rank); None of none."""
    ordered = sorted(values)
    if not ordered:
        return None
    if not 0 < share <= 100:
        raise ValueError("a percentile is above 0 and at most 100")
    return ordered[max(0, math.ceil(len(ordered) * share / 100) - 1)]


def median(values: Iterable[float]) -> float | None:
    """The middle one; of an even number the mean of the two in the middle; None of none."""
    ordered = sorted(values)
    if not ordered:
        return None
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def ratio(part: float | None, whole: float | None) -> float | None:
    """part / whole, or None when either is not known."""
    return None if part is None or not whole else part / whole


def shown(value: float | int | None) -> str:
    """A figure for a person: three digits that matter, thousands apart, a dash for what is not known."""
    if value is None:
        return "–"
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def rounded(value: float | int | None) -> float | int | None:
    """The same figure for a program: no more digits than were measured."""
    if value is None or isinstance(value, int):
        return value
    return round(value) if abs(value) >= 1000 else round(value, 3)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table with columns of one width, figures to the right."""
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    texts = [
        "| "
        + " | ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in lines
    ]
    rule = (
        "| "
        + " | ".join(
            "-" * width if column == 0 else "-" * (width - 1) + ":" for column, width in enumerate(widths)
        )
        + " |"
    )
    return "\n".join([texts[0], rule, *texts[1:]])
