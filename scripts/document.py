"""Writes the parts of docs/ that the code knows better than any author.

    docs/settings.md       every field of mailer.settings.Settings
    docs/commands.md       the --help of every command
    docs/architecture.md   the chart of a delivery's states, between its two marks

`--check` writes nothing and ends with 1 when a file is not what the code says.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Help as plain lines of one width, on every terminal and without one; Typer reads this when it is imported.
os.environ |= {"TYPER_USE_RICH": "0", "COLUMNS": "100", "NO_COLOR": "1"}

from typer.main import get_command
from typer.testing import CliRunner

from mailer.db.mailings import MOVES
from mailer.settings import PREFIX, SECRETS, Settings
from mailer.vocabulary import DeliveryState

DOCS = Path(__file__).resolve().parent.parent / "docs"
BEGIN, END = "<!-- states: begin -->", "<!-- states: end -->"
BIRTH = (DeliveryState.PENDING, DeliveryState.SKIPPED)  # the states a new row may have
GENERATED = "<!-- Written by `make documents`. Change the code, not this file. -->"


class CannotDocument(Exception):
    """A file or a module lacks what a document is made from; the message says which."""


def settings_page() -> str:
    """Every setting: its variable, its default and what it is for."""
    lines = [
        "# Settings",
        "",
        GENERATED,
        "",
        "Every setting is an environment variable. They are read once, when a process starts; a value that",
        "cannot be right stops the start with a sentence that names the variable and says what to write.",
        "An empty variable counts as not set.",
        "",
        "| Variable | Default | What it is for |",
        "| --- | --- | --- |",
        *(_setting(name) for name in Settings.model_fields),
        "",
        "## Secrets as files",
        "",
        "A secret is better kept in a file than in a variable, which other programs may see. These variables",
        "hold the path of such a file; docker and systemd both provide them:",
        "",
        *(f"- `{PREFIX}{name.upper()}_FILE`" for name in SECRETS),
        "",
        "The file's content is the value. A variable and its file together are refused.",
    ]
    return "\n".join(lines) + "\n"


def _setting(name: str) -> str:
    field = Settings.model_fields[name]
    default = "" if field.default in ("", None) else f"`{field.default}`"
    limits = [_limit(rule) for rule in field.metadata]
    about = " ".join([field.description or "", *(limit for limit in limits if limit)])
    return f"| `{PREFIX}{name.upper()}` | {default} | {_cell(about)} |"


def _limit(rule: Any) -> str:
    words = {"ge": "At least", "gt": "More than", "le": "At most", "lt": "Less than"}
    for short, word in words.items():
        if (bound := getattr(rule, short, None)) is not None:
            return f"{word} {bound}."
    return ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def commands_page() -> str:
    """Every command with its own help."""
    try:
        from workers.console import app
    except ImportError as error:
        raise CannotDocument(f"docs/commands.md needs workers.console ({error}).") from error
    runner = CliRunner()
    lines = ["# Commands", "", GENERATED]
    for path in _paths(get_command(app), ()):
        result = runner.invoke(app, [*path, "--help"], prog_name="mailer", env={"COLUMNS": "100"})
        if result.exit_code:
            raise CannotDocument(f"mailer {' '.join(path)} --help ended with {result.exit_code}.")
        title = " ".join(("mailer", *path))
        text = "\n".join(line.rstrip() for line in result.output.strip().splitlines())
        lines += ["", f"{'##' if len(path) < 2 else '###'} {title}", "", "```text", text, "```"]
    return "\n".join(lines) + "\n"


def _paths(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield path
    for name, part in sorted(getattr(command, "commands", {}).items()):
        if not part.hidden:
            yield from _paths(part, (*path, name))


def architecture_page() -> str:
    """docs/architecture.md with the chart of today's MOVES between its marks."""
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise CannotDocument(f"docs/architecture.md has lost its marks {BEGIN} and {END}.")
    return f"{before}{BEGIN}\n{state_chart()}\n{END}{after}"


def state_chart() -> str:
    """The allowed moves of a delivery as a Mermaid chart."""
    lines = ["```mermaid", "stateDiagram-v2"]
    lines += [f"    [*] --> {state.value}" for state in BIRTH]
    for state in DeliveryState:
        lines += [f"    {state.value} --> {then.value}" for then in DeliveryState if then in MOVES[state]]
        if not MOVES[state]:
            lines.append(f"    {state.value} --> [*]")
    return "\n".join([*lines, "```"])


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "commands.md": commands_page,
    "architecture.md": architecture_page,
}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="only say which pages are not current")
    parser.add_argument("pages", nargs="*", help=f"some of: {', '.join(PAGES)}")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.pages) - set(PAGES):
        parser.error(f"not a generated page: {', '.join(sorted(unknown))}")
    old = [name for name in chosen.pages or PAGES if not _bring_up_to_date(name, write=not chosen.check)]
    if chosen.check and old:
        sys.stderr.write(f"Not current: {', '.join(old)}. Run: make documents\n")
        return 1
    return 0


def _bring_up_to_date(name: str, *, write: bool) -> bool:
    path = DOCS / name
    wanted = PAGES[name]()
    if path.exists() and path.read_text(encoding="utf-8") == wanted:
        return True
    if write:
        path.write_text(wanted, encoding="utf-8")
        sys.stderr.write(f"Written: docs/{name}\n")
    return False


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except CannotDocument as problem:
        sys.exit(str(problem))
