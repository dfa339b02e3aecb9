"""Commands as a person types them: what they print, what they refuse, and with which words."""

import json
import socket
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.cli.running import SAMPLE, Run, refused

pytestmark = pytest.mark.journey  # each command is a real process


def drafts(run: Run) -> list[dict[str, object]]:
    return list(json.loads(run("symposium", "list", "--json").stdout))


def test_a_page_is_shown_stored_and_not_stored_twice(run: Run) -> None:
    shown = json.loads(run("ingest", str(SAMPLE), "--json").stdout)
    assert [row["kind"] for row in shown] == ["statement"] + ["symposium"] * 7
    assert shown[0]["date"] == "2021-07-17"
    exact = [row for row in shown[1:] if (row["time"], row["zone"]) == ("12:00", "America/New_York")]
    assert len(exact) == 6
    inferred = [row for row in exact if row["sources"]["year"] == "weekday"]
    assert [row["date"] for row in inferred] == ["2024-09-27"]
    assert inferred[0]["needs_confirmation"]
    assert (shown[7]["precision"], shown[7]["month"], shown[7]["time"]) == ("month", "2024-12", None)

    assert "8 new, 0 proposed, 0 unchanged" in run("ingest", str(SAMPLE), "--apply").stdout
    assert "0 new, 0 proposed, 8 unchanged" in run("ingest", str(SAMPLE), "--apply").stdout
    assert len(drafts(run)) == 7


def test_a_changed_line_is_a_proposal_that_a_person_accepts(run: Run, tmp_path: Path) -> None:
    run("ingest", str(SAMPLE), "--apply")
    changed = tmp_path / "changed.txt"
    changed.write_text(SAMPLE.read_text().replace("July 26, 2024, 12noon", "July 26, 2024, 2pm"))
    for _ in range(2):
        done = run("ingest", str(changed), "--apply")
        assert "time 12:00:00 -> 14:00:00" in done.stdout
    assert len(drafts(run)) == 7
    assert run("proposal", "list").stdout.count("14:00:00") == 1
    assert run("proposal", "accept", "1").returncode == 0
    assert any("14:00" in str(row["when"]) for row in drafts(run))
    refused(run("proposal", "accept", "1"), "proposal list")


def test_the_list_of_symposia_is_a_table(run: Run) -> None:
    run("ingest", str(SAMPLE), "--apply")
    done = run("symposium", "list")
    assert done.returncode == 0, done.stderr
    assert "how-to-identify-genocide" in done.stdout


def test_an_inferred_year_waits_for_a_person(run: Run) -> None:
    run("ingest", str(SAMPLE), "--apply")
    slug = "we-charge-genocide-anti-black-racism-genocide"
    refused(run("symposium", "announce", slug), f"symposium confirm {slug}")
    assert "2024-09-27 12:00" in run("symposium", "confirm", slug).stdout
    shown = json.loads(run("symposium", "show", slug).stdout)
    assert (shown["sources"]["year"], shown["questions"]) == ("staff", [])
    assert "Reminders ahead: 0" in run("symposium", "announce", slug).stdout
    assert "0 new, 0 proposed, 8 unchanged" in run("ingest", str(SAMPLE), "--apply").stdout
    assert "symposium-confirmed" in run("audit").stdout


@pytest.mark.parametrize(
    ("page", "says"),
    [
        (b"", "empty"),
        (b"\x00\x01\x02\xff" * 50, "binary"),
        (b"%PDF-1.7 ...", "PDF"),
        ("Déclaration".encode("latin-1"), "UTF-8"),
        (b"a" * 50_000_000, "2 MiB"),
        (
            SAMPLE.read_bytes()
            .replace(b"September 27, 12noon", b"September 27, 2024, 12noon")
            .replace(b"Friday, September", b"Monday, September"),
            "Monday, but September 27, 2024 is a Friday",
        ),
    ],
    ids=["empty", "binary", "pdf", "latin-1", "50 MB", "contradictory"],
)
def test_a_bad_page_is_refused_and_nothing_of_it_is_stored(
    run: Run, tmp_path: Path, page: bytes, says: str
) -> None:
    file = tmp_path / "page"
    file.write_bytes(page)
    refused(run("ingest", str(file), "--apply"), says)
    assert drafts(run) == []
    refused(run("ingest", "-", given=page), says)


def test_a_list_with_bad_rows_is_imported_and_the_rest_mended(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text(
        "email;name;language;topics;zone\n"
        'anahit@example.org;"Anahit ""Ani"" Sargsyan";hy|en;statements;Asia/Yerevan\n'
        "no-sign.example.org;Nobody;en;statements;\n"
        "ruth@example.org;Ruth;en;statements;Mars/Crater\n",
        encoding="utf-8-sig",
    )
    done = run("subscribers", "import", str(file), "--consent", "paper forms, May 2023")
    assert done.returncode == 2
    assert "1 people added" in done.stdout
    assert "line 3" in done.stdout
    assert "line 4" in done.stdout
    assert "example.org" not in done.stdout.replace(str(file), "")
    rejects = Path(f"{file}.rejects.csv")
    rejects.write_text(rejects.read_text().replace("no-sign.", "sign@").replace("Mars/Crater", ""))
    again = run("subscribers", "import", str(rejects), "--consent", "paper forms, May 2023")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "3 subscribers" in run("subscribers", "count").stdout


def test_how_often_people_hear_is_imported_changed_and_counted(run: Run) -> None:
    people = "email,frequency\nanna@example.org,daily\nbert@example.org,weekly\ncarl@example.org,\n"
    run("subscribers", "import", "-", "--consent", "paper forms", given=people.encode())
    done = run("subscribers", "frequency", "weekly", "--address", "Anna@example.org")
    assert done.returncode == 0, done.stderr
    assert "anna" not in (done.stdout + done.stderr).lower()
    (topic,) = [line for line in run("topic", "list").stdout.splitlines() if "statements" in line]
    assert topic.replace("│", " ").split()[-4:] == ["3", "1", "0", "2"]  # all, at once, daily, weekly
    refused(run("subscribers", "frequency", "daily", "--address", "dora@example.org"), "Nobody")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"name\nx\n", "email"),
        ("email,name\nx@example.org,Jos\xe9\n".encode("latin-1"), "UTF-8"),
        (b"", "empty"),
    ],
)
def test_a_bad_list_is_refused(run: Run, tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "people.csv"
    file.write_bytes(content)
    refused(run("subscribers", "import", str(file)), says)
    assert "0 subscribers" in run("subscribers", "count").stdout


def test_a_campaign_with_an_unknown_placeholder_is_not_stored(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "letter.md"
    file.write_text("Dear ((frist_name)),\n\nthank you.")
    words = ("campaign", "draft", "thanks", str(file), "--subject", "Thanks", "--topic", "symposia")
    refused(run(*words), "frist_name", "first_name")
    file.write_text("Dear ((first_name)),\n\nthank you, {{ 7 * 7 }} times.")
    assert run(*words).returncode == 0
    shown = run("campaign", "preview", "thanks", "--name", "Li Wei").stdout
    assert "Dear Li Wei," in shown
    assert "{{ 7 * 7 }}" in shown
    refused(run("campaign", "test", "thanks", "--to", "stranger@example.org"), "MAILER_STAFF_ADDRESSES")


def test_a_relay_that_refuses_is_said(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "letter.md"
    file.write_text("Thank you.")
    run("campaign", "draft", "thanks", str(file), "--subject", "Thanks", "--topic", "symposia")
    to = ("campaign", "test", "thanks", "--to", "office@example.org")
    refused(run(*to, MAILER_SMTP_URL="smtp://127.0.0.1:1"), "did not take the test mail", "connect")
    refused(run(*to), "MAILER_SMTP_URL")
    refused(run(*to, MAILER_SMTP_URL="mail.example.org"), "smtp://")


def test_a_missing_key_ring_is_said_and_not_replaced(run: Run, tmp_path: Path) -> None:
    assert run("subscribers", "count").returncode == 0
    (tmp_path / "data" / "keys.json").unlink()
    refused(run("subscribers", "count"), "restore the ring from its backup")
    assert not (tmp_path / "data" / "keys.json").exists()


def test_a_newer_database_is_said(run: Run, tmp_path: Path) -> None:
    run("subscribers", "count")
    engine = create_engine(f"sqlite:///{tmp_path / 'data' / 'mailer.db'}")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    for words in (("subscribers", "count"), ("migrate",), ("serve",)):
        refused(run(*words), "newer than this program")


def test_a_port_in_use_is_said(run: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused(run("serve", MAILER_WEB_PORT=port), port, "MAILER_WEB_PORT")
        refused(run("serve", MAILER_WEB_PORT="0", MAILER_MX_PORT=port), port, "MAILER_MX_PORT")


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"MAILER_BASE_URL": "http://mailer.example.org"}, "https://"),
        ({"MAILER_ZONE": "EST5"}, "America/New_York"),
        ({"MAILER_SLICE_SIZE": "0"}, "MAILER_SLICE_SIZE"),
        ({"MAILER_SMTP_URL": "smtp://a", "MAILER_SMTP_URL_FILE": "/dev/null"}, "Keep one of them"),
        ({"MAILER_SMTP_URL_FILE": "/nowhere"}, "MAILER_SMTP_URL_FILE"),
        ({"MAILER_DATABASE_URL": "postgresql://nobody:secret@127.0.0.1:1/x"}, "MAILER_DATABASE_URL"),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_kept_quiet(
    run: Run, tmp_path: Path, variables: dict[str, str], says: str
) -> None:
    run("keys", "create")
    done = run("subscribers", "count", **variables)
    refused(done, says)
    assert "secret" not in done.stderr


def test_the_demo_sends_nowhere_but_here(run: Run) -> None:
    refused(run("demo", "--exit", MAILER_SMTP_URL="smtp://relay.example.org"), "this machine only")
