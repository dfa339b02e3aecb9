"""The documentation says what is there: generated pages are current, commands, settings and links exist."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailer.settings import PREFIX, SECRETS, Settings

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
GENERATED = ("settings.md", "commands.md", "architecture.md")
DECISION_LINES = 8


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", GENERATED)
def test_generated_pages_are_current(page: str) -> None:
    command = [sys.executable, "scripts/document.py", "--check", page]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_every_command_named_exists() -> None:
    from typer.main import get_command

    from workers.console import app

    root: Any = get_command(app)
    unknown = {
        f"{_name(page)}: {line}" for page in PAGES for line in _commands(page) if not _known(root, line)
    }
    assert unknown == set()


def _commands(page: Path) -> Iterator[str]:
    """What stands after `mailer` in code spans and at the start of lines in code blocks."""
    text = page.read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"^```(?:sh|ini|text)?\n(.*?)^```", text, re.M | re.S))
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))
    for line in [*spans, *blocks.splitlines()]:
        match = re.search(r"(?:^|\s|/)mailer ((?:[a-z][a-z-]* ?)+)", line)
        if match:
            yield match[1].strip()


def _known(root: Any, words: str) -> bool:
    command = root
    for word in words.split():
        below = getattr(command, "commands", None)
        if below is None:
            return True  # the rest are arguments
        if word not in below:
            return False
        command = below[word]
    return True


def test_every_setting_named_exists() -> None:
    fields = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    known = fields | {f"{PREFIX}{name.upper()}_FILE" for name in SECRETS}
    named = {
        word for page in PAGES for word in re.findall(rf"\b{PREFIX}[A-Z_]*[A-Z]\b", page.read_text("utf-8"))
    }
    assert named - known == set()


def test_every_make_target_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    named = {
        word for page in PAGES for word in re.findall(r"(?:`|^)make ([a-z]+)", page.read_text("utf-8"), re.M)
    }
    assert "demo" in named
    assert named - targets == set()


def test_every_link_leads_somewhere() -> None:
    dead = [
        f"{_name(page)}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert dead == []


def test_decisions_are_short() -> None:
    text = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
    decisions = re.split(r"^## ", text, flags=re.M)[1:]
    assert decisions
    long = {one.splitlines()[0]: len([line for line in one.splitlines()[1:] if line]) for one in decisions}
    assert {title: lines for title, lines in long.items() if lines > DECISION_LINES} == {}


def test_every_page_is_reachable_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"docs/{page.name}" not in readme] == []
