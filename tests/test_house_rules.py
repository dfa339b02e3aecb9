"""The rules of the house that no test of a single room would notice being broken."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
LONGEST_FILE = 400  # lines; past about 300 there is a second idea in it
PATHS_OF_MACHINES = re.compile(r"(?<![\w.$}-])/(?:work|root|home|Users|opt/wheels)/[\w.-]")
CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")}
WHERE_TIME_IS_READ = {"mailer/cli/terminal.py", "workers/clock.py"}
TEXT = {".py", ".md", ".toml", ".yml", ".sh", ".html", ".txt", ".po", ".css", ".js", ".lock", ".csv", ""}


def _sources() -> list[Path]:
    found = (path for room in ("mailer", "workers") for path in (ROOT / room).rglob("*.py"))
    return sorted(path for path in found if path.parent.name != "versions")  # migrations are never edited


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _calls(path: Path) -> Iterator[ast.expr]:
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    return (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))


def _is_clock(call: ast.expr) -> bool:
    if not isinstance(call, ast.Attribute):
        return False
    owner = call.value.attr if isinstance(call.value, ast.Attribute) else getattr(call.value, "id", "")
    return (owner, call.attr) in CLOCKS


def _project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_arrows_point_down() -> None:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_no_file_holds_two_ideas() -> None:
    lengths = {_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in _sources()}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_every_module_says_what_it_is_for() -> None:
    silent = [_name(path) for path in _sources() if not ast.get_docstring(ast.parse(path.read_text("utf-8")))]
    assert silent == []


def test_nothing_is_printed() -> None:
    printing = {
        _name(path) for path in _sources() for call in _calls(path) if getattr(call, "id", "") == "print"
    }
    assert printing == set()


def test_the_time_is_an_argument() -> None:
    reading = {_name(path) for path in _sources() if any(_is_clock(call) for call in _calls(path))}
    assert reading - WHERE_TIME_IS_READ == set()


def test_no_path_of_somebodys_machine() -> None:
    found = [
        f"{_name(path)}: {line.strip()[:80]}"
        for path in _written_here()
        for line in path.read_text(encoding="utf-8").splitlines()
        if PATHS_OF_MACHINES.search(line)
    ]
    assert found == []


def _written_here() -> Iterator[Path]:
    own = Path(__file__).resolve()
    tops = [path for path in ROOT.iterdir() if path.is_file()]
    below = [
        path
        for folder in ("mailer", "workers", "templates", "tests", "scripts", "docs", ".ci")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    return (path for path in tops + below if path.suffix in TEXT and path != own)


def test_the_changelog_speaks_of_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\d+\.\d+\.\d+)", text, re.M)
    assert newest is not None
    assert newest[1] == _project()["version"]


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_locks_pin_everything_and_name_no_index(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*(-i|-f|-e|--(extra-)?index-url|--find-links|--trusted-host)\b", text, re.M)
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.M)[1:]
    assert len(entries) > 50
    assert [entry for entry in entries if not re.match(r"[a-z0-9._-]+==\S+", entry)] == []
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_development_lock_holds_the_runtime_lock() -> None:
    runtime, development = (_pins(ROOT / name) for name in ("requirements.lock", "requirements-dev.lock"))
    assert runtime.items() <= development.items()


def _pins(path: Path) -> dict[str, str]:
    found = re.findall(r"^([a-z0-9._-]+)==([^\s;\\]+)", path.read_text(encoding="utf-8"), re.M)
    return dict(found)


def test_the_locks_hold_what_the_project_asks_for() -> None:
    runtime, development = (_pins(ROOT / name) for name in ("requirements.lock", "requirements-dev.lock"))
    asked = {_requirement(one) for one in _project()["dependencies"]}
    tools = {_requirement(one) for one in _project()["optional-dependencies"]["dev"]}
    assert asked | {"hatchling", "editables"} <= set(runtime)
    assert tools <= set(development)


def _requirement(text: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", text)
    assert name is not None
    return name[0].lower().replace("_", "-")


def test_a_worker_carries_neither_pages_nor_migrations_nor_the_commands_of_staff() -> None:
    burdens = {
        "fastapi",
        "uvicorn",
        "alembic",
        "dns",
        "feedparser",
        "icalendar",
        "mailer.cli",
        "mailer.ingest",
    }
    look = (
        "import sys, workers.entry, workers.process_commands, workers.processes, workers.celery;"
        f"print(*sorted({burdens!r} & sys.modules.keys()))"
    )
    run = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
