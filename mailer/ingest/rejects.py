"""The reject file: rows that were not taken, with the reason, ready to be corrected.

It holds addresses in clear, so whoever opens the file for it keeps it to its owner
(mode 0600) and deletes it after use.
"""

import codecs
import csv
import io
from collections.abc import Iterable
from typing import BinaryIO

from mailer.ingest.cells import guard
from mailer.ingest.people import REASON_COLUMN, Reject


def write_rejects(stream: BinaryIO, rejects: Iterable[Reject]) -> int:
    """Write a CSV of the original columns and `reason`; return how many rows. Without rejects, nothing.

    UTF-8 with a BOM, so that a spreadsheet reads it right; `read_people` takes it back as it is.
    Of a row that could not be cut into cells, the first cell holds the line.
    """
    count = 0
    for reject in rejects:
        kept = [at for at, column in enumerate(reject.columns) if column.casefold() != REASON_COLUMN]
        if count == 0:
            stream.write(codecs.BOM_UTF8)
            _write(stream, [*(reject.columns[at] for at in kept), REASON_COLUMN])
        cells = _in_columns(reject)
        _write(stream, [*(guard(cells[at]) for at in kept), f"{reject.reason}: {reject.sentence}"])
        count += 1
    return count


def _in_columns(reject: Reject) -> list[str]:
    """One cell per column: missing ones are empty, those over are kept in the last."""
    cells = list(reject.cells) + [""] * (len(reject.columns) - len(reject.cells))
    last = len(reject.columns) - 1
    return (
        [*cells[:last], ", ".join(cell for cell in cells[last:] if cell)] if len(cells) > last + 1 else cells
    )


def _write(stream: BinaryIO, cells: Iterable[str]) -> None:
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow(cells)
    stream.write(line.getvalue().encode())
