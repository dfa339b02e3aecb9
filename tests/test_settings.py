"""Settings: every one is named in the docs, secrets come from files, and nothing shows a value."""

from pathlib import Path

import pytest

from mailer import settings


def test_a_secret_comes_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "smtp"
    file.write_text("smtp://user:word@127.0.0.1:2525\n")
    monkeypatch.setenv("MAILER_SMTP_URL_FILE", str(file))
    assert settings.load().smtp_url == "smtp://user:word@127.0.0.1:2525"


def test_the_embedded_mode_needs_nothing() -> None:
    chosen = settings.load()
    assert chosen.embedded
    assert chosen.database.startswith("sqlite:///")
    assert chosen.key_ring == Path("var/keys.json")


def test_postgresql_is_reached_by_its_driver() -> None:
    chosen = settings.load(database_url="postgresql://mailer@db/mailer")
    assert chosen.database == "postgresql+psycopg://mailer@db/mailer"


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        settings.load().slice_size = 5  # type: ignore[misc]


@pytest.mark.parametrize("value", ["25:00", "22", "22:00:30", "ten", "22:00Z"])
def test_quiet_hours_are_times_of_day(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("MAILER_QUIET_FROM", value)
    with pytest.raises(settings.SettingsError, match="MAILER_QUIET_FROM"):
        settings.load()


def test_quiet_hours_and_windows_of_notices_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILER_QUIET_FROM", "21:30")
    monkeypatch.setenv("MAILER_NOTICE_PAUSE", "60")
    chosen = settings.load()
    assert (chosen.quiet_from.isoformat(), chosen.notice_pause) == ("21:30:00", 60)


def test_a_notice_waits_no_longer_than_it_may() -> None:
    with pytest.raises(settings.SettingsError, match="MAILER_NOTICE_PATIENCE"):
        settings.load(notice_pause=240)
