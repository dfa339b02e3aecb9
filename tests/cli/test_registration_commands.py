"""Commands about who comes, as staff type them: what they set, refuse, show first, and never print."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.running import SAMPLE, Run, refused

pytestmark = pytest.mark.journey  # each command is a real process


@pytest.fixture
def slug(run: Run) -> str:
    """A symposium of the sample page, on a day that lies ahead, announced."""
    assert run("ingest", str(SAMPLE), "--apply").returncode == 0
    listed = json.loads(run("symposium", "list", "--json").stdout)
    name = str(next(row["slug"] for row in listed if row["precision"] == "datetime"))
    assert run("symposium", "confirm", name, "--date", "2090-02-24").returncode == 0
    assert run("symposium", "announce", name).returncode == 0
    return name


def shown(run: Run, slug: str) -> dict[str, object]:
    return dict(json.loads(run("symposium", "show", slug).stdout))


def test_staff_set_what_a_symposium_holds_and_see_its_sources(run: Run, slug: str) -> None:
    assert shown(run, slug)["duration"] == "60 minutes, assumed"
    done = run(
        "symposium", "set", slug, "--capacity", "80", "--ends", "13:30", "--speaker", "Dr. A",
        "--language", "en", "--language", "hy", "--online",
        "--join-url", "https://rooms.example.com/secret", "--access-needs",
        "--opens", "2089-01-01T09:00", "--closes", "2090-02-20T18:00", "--register-url", "none",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    facts = shown(run, slug)
    assert facts["duration"] == "90 minutes, announced"
    assert (facts["capacity"], facts["join_link"]) == (80, "set")
    assert facts["registration_window"] == {
        "opens": "2089-01-01T09:00",
        "closes": "2090-02-20T18:00",
        "zone": "America/New_York",
    }
    assert dict(facts["sources"])["capacity"] == "staff"  # type: ignore[call-overload]
    assert "rooms.example.com" not in json.dumps(facts)
    assert "rooms.example.com" in run("symposium", "join-link", slug).stdout


WRONG = [
    (("--ends", "11:00"), "before the start"),
    (("--ends", "noon"), "24 hours"),
    (("--capacity", "many"), "number of people"),
    (("--closes", "2090-02-24T13:01"), "is over"),
    (("--opens", "2090-02-20T13:00", "--closes", "2090-02-19T13:00"), "before it opens"),
    (("--opens", "2090-02-20T13:00", "--window-zone", "Mars/Olympus"), "Mars/Olympus"),
    (("--join-url", "http://rooms.example.com"), "https://"),
    (("--language", "no language"), "tag"),
    ((), "--capacity"),
]


def test_a_wrong_fact_is_refused_with_what_to_write(run: Run, slug: str) -> None:
    for options, word in WRONG:
        refused(run("symposium", "set", slug, *options), word)


def test_a_list_is_shown_first_and_people_are_told_by_number(run: Run, slug: str, tmp_path: Path) -> None:
    put = ("symposium", "question", "put", slug, "diet")
    assert run(*put, "--label", "en=Diet?", "--kind", "choice", "--choice", "none").returncode == 0
    refused(run(*put, "--label", "Diet?"), "language=words")
    refused(run(*put, "--label", "klingon=Diet?"), "klingon")
    run("symposium", "set", slug, "--capacity", "1")
    sheet = tmp_path / "list.csv"
    sheet.write_text("email,diet\nanna@example.org,none\nboris@example.org,\nclara@example.org,fish\n")
    dry = run("symposium", "import", slug, str(sheet))
    assert dry.returncode == 2
    assert "Nothing was changed" in dry.stdout
    assert "line 4" in dry.stdout
    assert json.loads(run("symposium", "registrations", slug, "--json").stdout) == []
    assert "1 get a place." in run("symposium", "import", slug, str(sheet), "--apply").stdout

    listed = run("symposium", "registrations", slug, "--json", "--needs")
    assert [row["state"] for row in json.loads(listed.stdout)] == ["confirmed", "waiting"]
    first = str(json.loads(listed.stdout)[0]["number"])
    outputs = [
        dry,
        listed,
        run("symposium", "registrations", slug),
        run("symposium", "attendance", slug, str(sheet), "--apply"),  # which has not begun
        run("symposium", "join-link", slug, "--revoke", first, "--send"),
        run("symposium", "withdraw", slug, first),
    ]
    assert [done.returncode for done in outputs] == [2, 0, 0, 1, 0, 0], outputs
    assert not any("example.org" in done.stdout + done.stderr for done in outputs)
    states = [row["state"] for row in json.loads(run("symposium", "registrations", slug, "--json").stdout)]
    assert sorted(states) == ["confirmed", "withdrawn"]
    refused(run("symposium", "withdraw", slug, "999"), "no registration 999")
    assert "withdrawn" in run("symposium", "registrations", slug, "--address", "anna@example.org").stdout


def test_who_was_there_is_noted_from_a_list(run: Run, tmp_path: Path) -> None:
    sheet = tmp_path / "list.csv"
    sheet.write_text("email\nanna@example.org\n")
    for name in ("today", "the-day-after"):  # the second only where the first one's day ended meanwhile
        today = datetime.now(UTC).date()
        run("symposium", "add", "--title", name.replace("-", " "), "--date", today.isoformat())
        run("symposium", "announce", name)
        run("symposium", "import", name, str(sheet), "--apply")
        shown_first = run("symposium", "attendance", name, str(sheet))
        before = run("symposium", "registrations", name)
        applied = run("symposium", "attendance", name, str(sheet), "--apply")
        if datetime.now(UTC).date() == today:
            break
    assert "1 attended" in shown_first.stdout
    assert "unknown" in before.stdout
    assert "1 attended" in applied.stdout
    assert "attended" in run("symposium", "registrations", name).stdout


def test_a_token_is_shown_once(run: Run) -> None:
    made = run("api-token", "create", "web-form", "--scope", "registrations")
    assert made.stdout.startswith("mlr_")
    assert made.stdout.strip() not in run("api-token", "list").stdout
    refused(run("api-token", "create", "web-form", "--scope", "registrations"), "already")
    refused(run("api-token", "create", "Web Form", "--scope", "registrations"), "small letters")
    refused(run("api-token", "revoke", "other"), "no token")
    assert run("api-token", "revoke", "web-form").returncode == 0


def test_a_series_gets_its_name_and_text(run: Run, slug: str) -> None:
    assert "year-of-prevention" in run("series", "list").stdout
    done = run("series", "set", "year-of-prevention", "--name", "Prevention, a Year", "--text", "Fridays.")
    assert done.returncode == 0, done.stderr
    assert "/series/year-of-prevention" in done.stdout
    assert shown(run, slug)["series"] == "Prevention, a Year"
    refused(run("series", "set", "no-such", "--name", "X"), "Known series: year-of-prevention")
    refused(run("series", "set", "year-of-prevention"), "--name or --text")
    refused(run("series", "set", "year-of-prevention", "--name", " "), "at most 200")
