"""Texts that are given as files: read whole, as UTF-8, and never larger than a mail could carry."""

from pathlib import Path

from mailer.cli import terminal

LARGEST_FILE = 1_000_000  # octets


def read_text(file: Path) -> str:
    """The file's text. Says what is wrong with it and ends the command when it cannot be read."""
    try:
        if file.stat().st_size > LARGEST_FILE:
            terminal.fail(f"{file} is larger than 1 MB. A mail must stay under 100 kB; shorten it.")
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        terminal.fail(f"{file} is not UTF-8 text. Save it as UTF-8 and try again.")
    except OSError as error:
        terminal.fail(f"{file} cannot be read ({error.strerror}). Check the path.")
