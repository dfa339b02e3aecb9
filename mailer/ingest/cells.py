"""Cells of a CSV that a spreadsheet may open: nothing in one is ever a formula.

`guard` and `unguard` are each other's inverse for every text, so a file that went out
guarded comes back as it was.
"""

import re

# What spreadsheets take for a formula: also after blanks, and in the full-width forms.
_FORMULA = re.compile(r"'*(?:[\t\r]|\s*[=+\-@＝＋－＠])")


def guard(cell: str) -> str:
    """Return the cell with an apostrophe in front when a spreadsheet could run it."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unguard(cell: str) -> str:
    """Take the apostrophe of `guard` off again. A name such as 't Hooft keeps its own."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell[1:]) else cell
