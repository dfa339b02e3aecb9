"""The commands for translations, corrections and retractions, as a person types them."""

from pathlib import Path

import pytest

from tests.cli.running import SAMPLE, Run, refused

pytestmark = pytest.mark.journey


@pytest.fixture(autouse=True)
def _a_statement_with_readers(run: Run, tmp_path: Path) -> None:
    """A statement that was read from a page, and three people who asked for such."""
    run("ingest", str(SAMPLE), "--apply")
    readers = tmp_path / "readers.csv"
    readers.write_text(
        "email,language\nanna@example.org,en\nanahit@example.org,hy\nclaire@example.org,fr\n",
        encoding="utf-8",
    )
    done = run("subscribers", "import", str(readers), "--consent", "asked at the door")
    assert done.returncode == 0, done.stderr


def test_a_statement_in_languages(run: Run, tmp_path: Path) -> None:
    armenian = tmp_path / "hy.md"
    armenian.write_text("Հայերեն տեքստ։", encoding="utf-8")
    refused(run("statement", "translate", "1", "--language", "hy"), "--ready")
    refused(run("statement", "translate", "1", "--language", "hy", "--ready"), "no translation")
    words = ("--language", "hy", "--title", "Հայտարարություն", "--file", str(armenian))
    assert "Stored as a draft." in run("statement", "translate", "1", *words).stdout
    assert "draft" in run("statement", "texts", "1").stdout
    assert run("statement", "hold", "1", "--language", "fr").returncode == 0
    before = run("statement", "preflight", "1").stdout
    assert "3 readers: 1 fall back, 1 wait." in before
    assert run("statement", "translate", "1", "--language", "hy", "--ready").returncode == 0
    published = run("statement", "publish", "1")
    assert "3 readers: 0 fall back, 1 wait." in published.stdout
    assert "0 were waiting" in run("statement", "send-now", "1", "--language", "fr").stdout
    refused(run("statement", "available", "1", "--language", "fr"), "no ready translation")
    assert "translation:hy" in run("statement", "available", "1", "--language", "hy").stdout


def test_a_correction_is_seen_before_it_is_announced(run: Run, tmp_path: Path) -> None:
    corrected = tmp_path / "new.md"
    corrected.write_text("The corrected text.", encoding="utf-8")
    words = ("--file", str(corrected), "--wrong", "It said 212.", "--right", "It was 188.")
    refused(run("statement", "correct", "1", *words), "only a published one")
    run("statement", "publish", "1")
    shown = run("statement", "correct", "1", *words)
    assert "wrong: It said 212." in shown.stdout
    assert "0 people have the older text" in shown.stdout
    assert "Nothing has left." in shown.stdout
    announced = run("statement", "announce", "1", "--yes")
    assert "Announced." in announced.stdout
    refused(run("statement", "correct", "1", "--language", "hy", "--only", *words), "no text in hy")
    refused(run("statement", "announce", "1", "--yes"), "Nothing waits to be announced")
    assert "1 -> 2" in run("statement", "corrections", "1").stdout
    assert "The corrected text." in run("statement", "show", "1").stdout
    retracted = run("statement", "retract", "1", "--reason", "Wrong in the whole.", "--yes")
    assert "Announced." in retracted.stdout
    refused(run("statement", "publish", "1"), "retracted")


def test_a_correction_of_one_language_says_so(run: Run, tmp_path: Path) -> None:
    armenian, corrected = tmp_path / "hy.md", tmp_path / "new.md"
    armenian.write_text("Հայերեն տեքստ։", encoding="utf-8")
    corrected.write_text("Ուղղված տեքստ։", encoding="utf-8")
    words = ("--language", "hy", "--title", "Հայտարարություն", "--file", str(armenian), "--ready")
    assert run("statement", "translate", "1", *words).returncode == 0
    run("statement", "publish", "1")
    wrong = ("--file", str(corrected), "--wrong", "Գրված էր 212։", "--right", "Պետք է լինի 188։")
    shown = run("statement", "correct", "1", "--language", "hy", "--only", *wrong)
    assert "of its hy text alone" in shown.stdout
    assert "0 people have the older text" in shown.stdout
    assert "Announced." in run("statement", "announce", "1", "--yes").stdout
    told = run("statement", "corrections", "1").stdout
    assert "hy" in told
    assert "1 -> 2" in told
