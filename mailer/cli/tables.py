"""Tables for people, as a terminal of 80 columns can show them.

No frame; headings of figures stand on two lines where they have two words; two blanks between the columns,
or one where two do not fit. An empty table is a sentence. Cells are text, never the terminal's markup.
"""

from collections.abc import Sequence

from rich.box import Box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

_RULED = Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
_GAP = 2


def draw(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    numbers: Sequence[str],
    width: int | None,
) -> None:
    """Print the table; `width` in columns, or nothing for the terminal's own."""
    console = Console(width=width, highlight=False, soft_wrap=False)
    headings = [column.replace(" ", "\n") if column in numbers else column for column in columns]
    fits = _natural(headings, rows) <= console.width
    drawn = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=_RULED,
        show_edge=False,
        pad_edge=False,
        padding=(0, _GAP - 1 if fits else 0, 0, 0),
    )
    for column, heading in zip(columns, headings, strict=True):
        right = column in numbers
        drawn.add_column(heading, justify="right" if right else "left", overflow="fold", no_wrap=right)
    for row in rows:
        drawn.add_row(*row)
    console.print(drawn)


def _natural(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """How wide the table is when nothing is folded."""
    widest = [
        max(cell_len(line) for cell in cells for line in cell.split("\n"))
        for cells in zip(headings, *rows, strict=True)
    ]
    return sum(widest) + _GAP * (len(widest) - 1)
