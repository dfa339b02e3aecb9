"""Every setting of the house, read once from MAILER_* variables and frozen.

A secret may come as a file: MAILER_SMTP_URL_FILE holds the path of a file whose
content is the value (docker and systemd secrets). A value that cannot be right
stops the start with a sentence; nothing is guessed and nothing changes later.
"""

import os
import re
from datetime import time
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "MAILER_"
DIRECT = "mx:"  # as smtp_url: no relay
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
TIME_SERVER = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[0-9A-Za-z.-]{1,253})(?::([0-9]{1,5}))?")
SECRETS = ("keys", "smtp_url", "database_url", "broker_url")


class SettingsError(Exception):
    """A setting is missing or wrong; the message names the variable and says what to write."""


class Settings(BaseSettings):
    """All settings. Field `data` is read from MAILER_DATA, and so on; docs/settings.md explains each."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    data: Path = Field(
        Path("var"), description="Folder for the database, keys and journals of the embedded mode."
    )
    database_url: str = Field(
        "",
        description="Database URL, e.g. postgresql://mailer@db/mailer. Empty: SQLite in MAILER_DATA.",
    )
    broker_url: str = Field(
        "",
        description="Redis URL for hints, e.g. redis://redis:6379/0. Empty: hints stay inside the process.",
    )
    keys: str = Field("", description="The key ring itself (JSON), for platforms that offer only variables.")
    keys_file: Path | None = Field(None, description="Path of the key ring. Empty: keys.json in MAILER_DATA.")
    smtp_url: str = Field(
        "",
        description="The relay: smtp://user:password@host:587 or smtps://host:465; several, separated by "
        "spaces, share the work by their option weight=N. mx: delivers to receiving servers directly. "
        "Empty: only the demo's inbox on loopback can be reached.",
    )
    postfix_log: Path | None = Field(
        None,
        description="Log of the local Postfix that is the relay: it settles deliveries in doubt by their "
        "Message-IDs. Empty: a person decides.",
    )
    direct_tls: Literal["require", "opportunistic"] = Field(
        "require",
        description="Direct delivery: wait for TLS everywhere, or only at sites that are known to offer it.",
    )
    dns_servers: str = Field(
        "", description="Direct delivery: comma-separated addresses of name servers. Empty: the system's."
    )
    dns_validates: bool = Field(
        False, description="Direct delivery: the name server on this machine checks DNSSEC, so use DANE."
    )
    smtp_connections: int = Field(4, ge=1, le=50, description="Connections to the relay per send worker.")
    ehlo_name: str = Field(
        "localhost", description="This host's name in EHLO; the relay's owner may ask for the real one."
    )
    base_url: str = Field(
        "http://127.0.0.1:8025", description="Address under which readers reach the web app; https in public."
    )
    web_host: str = Field("127.0.0.1", description="Interface the web app listens on.")
    web_port: int = Field(
        8025, ge=0, le=65535, description="Port the web app listens on; 0 picks a free one."
    )
    mx_host: str = Field("127.0.0.1", description="Interface that takes returned mail.")
    mx_port: int = Field(
        2525, ge=0, le=65535, description="Port that takes returned mail; 0 picks a free one."
    )
    organisation: str = Field(
        "Example Organisation", min_length=1, description="Name in From and in footers."
    )
    postal_address: str = Field(
        "1 Example Street, Example City", min_length=1, description="Postal address in every footer."
    )
    imprint: str = Field(
        "", description="Legal imprint under the postal address, where the law asks for one."
    )
    contact_address: str = Field(
        "office@example.org", description="Where replies go; shown as contact in every mail."
    )
    from_address: str = Field(
        "news@example.org", description="Sender of every mail; its domain signs and must match DKIM."
    )
    lists_domain: str = Field("lists.example.org", description="Domain of the List-Id headers.")
    bounce_domain: str = Field(
        "bounces.example.org", description="Domain of return addresses; its MX must lead to `mailer inbound`."
    )
    dkim_selector: str = Field("", description="DKIM selector, such as m2026a. Empty: the relay signs.")
    dkim_key_file: Path | None = Field(
        None, description="Path of the DKIM key: RSA, 2048 bits or more, PEM without a password."
    )
    staff_addresses: str = Field(
        "",
        description="Comma-separated addresses that test mails may go to. Empty: the contact address only.",
    )
    zone: str = Field("America/New_York", description="The organisation's own time zone (IANA name).")
    digest_hour: int = Field(
        8, ge=0, le=23, description="Hour at which digests are sent, on the clock of each reader's zone."
    )
    digest_weekday: Literal[WEEKDAYS] = Field(  # type: ignore[valid-type]
        "monday", description="Day on which weekly digests are sent."
    )
    quiet_from: time = Field(
        time(22),
        description="Reminders with a long lead keep off their readers' nights: from here, such as 22:00,",
    )
    quiet_until: time = Field(
        time(8), description="until this one, on the clock of each reader's city. Two equal hours: no nights."
    )
    notice_pause: int = Field(
        30,
        ge=0,
        le=1440,
        description="Minutes after the last change of a symposium until attendees are told.",
    )
    notice_patience: int = Field(
        120, ge=0, le=2880, description="Minutes after the first change by which they are told at the latest."
    )
    notice_near_hours: int = Field(
        6, ge=0, le=168, description="A change is told at once when the start is so many hours away."
    )
    sweep_seconds: float = Field(5.0, ge=0.1, le=60, description="Seconds between two looks for due work.")
    lease_seconds: int = Field(
        120,
        ge=10,
        le=3600,
        description="How long a worker may hold claimed deliveries without a sign of life.",
    )
    slice_size: int = Field(
        1000,
        ge=1,
        le=5000,
        description="Deliveries claimed at once by one worker, at most; a slow relay gets smaller slices.",
    )
    ntp_server: str = Field(
        "",
        description="Time server that is asked whether the clocks are right by which embargoes open, such "
        "as time.example.org or [2001:db8::1]:123 (UDP). Empty: the machine's own time service is asked.",
    )
    undo_seconds: int = Field(
        0, ge=0, le=3600, description="Seconds between announcing a campaign or alert and its first mail."
    )
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")

    @field_validator("base_url")
    @classmethod
    def _base_url_is_an_origin(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("write it as https://mailer.example.org")
        return value.rstrip("/")

    @field_validator("ntp_server")
    @classmethod
    def _names_a_server(cls, value: str) -> str:
        found = TIME_SERVER.fullmatch(value)
        if value and (found is None or not 0 < int(found[1] or 123) <= 65_535):
            raise ValueError("write a host such as time.example.org, or host:port")
        return value

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, IsADirectoryError):
            raise ValueError("write an IANA zone such as America/New_York") from None
        return value

    @field_validator("log_level")
    @classmethod
    def _log_level_is_known(cls, value: str) -> str:
        if value.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise ValueError("write DEBUG, INFO, WARNING or ERROR")
        return value.upper()

    @model_validator(mode="after")
    def _public_addresses_use_https(self) -> Self:
        host = urlsplit(self.base_url).hostname or ""
        local = host in {"localhost", "127.0.0.1", "::1"} or host.endswith(
            (".test", ".localhost", ".example")
        )
        if self.base_url.startswith("http://") and not local:
            raise ValueError("MAILER_BASE_URL must begin with https:// outside this machine")
        return self

    @field_validator("quiet_from", "quiet_until")
    @classmethod
    def _quiet_hours_are_wall_times(cls, value: time) -> time:
        if value.tzinfo is not None or value.second or value.microsecond:
            raise ValueError("write a time of day such as 22:00")
        return value

    @model_validator(mode="after")
    def _notices_wait_no_longer_than_they_may(self) -> Self:
        if self.notice_patience < self.notice_pause:
            raise ValueError("MAILER_NOTICE_PATIENCE must not be less than MAILER_NOTICE_PAUSE")
        return self

    @model_validator(mode="after")
    def _dkim_is_whole(self) -> Self:
        if bool(self.dkim_selector) != bool(self.dkim_key_file):
            raise ValueError("set both MAILER_DKIM_SELECTOR and MAILER_DKIM_KEY_FILE, or neither")
        return self

    @property
    def database(self) -> str:
        """The SQLAlchemy URL in use: the given one, or SQLite in the data folder."""
        if self.database_url.startswith("postgresql://"):
            return self.database_url.replace("postgresql://", "postgresql+psycopg://", 1)
        return self.database_url or f"sqlite:///{(self.data / 'mailer.db').resolve()}"

    @property
    def key_ring(self) -> Path:
        """Path of the key ring file."""
        return self.keys_file or self.data / "keys.json"

    @property
    def test_addresses(self) -> frozenset[str]:
        """Who may receive test mails, in lower case."""
        listed = [part.strip().lower() for part in self.staff_addresses.split(",")]
        return frozenset(part for part in [*listed, self.contact_address.lower()] if part)

    @property
    def embedded(self) -> bool:
        """True when no broker is named: hints stay inside the one process."""
        return not self.broker_url


def load(**changes: object) -> Settings:
    """Read the settings from the environment. `changes` win over variables.

    Raises SettingsError with the variable's name and what to write.
    """
    values = {**_secrets_from_files(), **changes}
    try:
        return Settings(**values)  # type: ignore[arg-type]
    except ValidationError as error:
        raise SettingsError(_sentence(error)) from None


def current() -> Settings:
    """The settings of this process: read once, or handed over by `use`."""
    if _Process.settings is None:
        _Process.settings = load()
    return _Process.settings


def use(settings: Settings) -> None:
    """Make these the settings of this process, before anything has asked for them."""
    _Process.settings = settings


class _Process:
    settings: Settings | None = None


def _secrets_from_files() -> dict[str, object]:
    found: dict[str, object] = {}
    for name in SECRETS:
        variable = f"{PREFIX}{name.upper()}_FILE"
        path = os.environ.get(variable)
        if (
            not path or name == "keys"
        ):  # MAILER_KEYS_FILE is a setting of its own: the ring is rewritten there
            continue
        if os.environ.get(f"{PREFIX}{name.upper()}"):
            raise SettingsError(f"{PREFIX}{name.upper()} and {variable} are both set. Keep one of them.")
        try:
            found[name] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"{variable} names a file that cannot be read ({type(error).__name__}). "
                f"Check the path and that this user may read it."
            ) from None
    return found


def _sentence(error: ValidationError) -> str:
    # Only the field and the rule are told: the value itself may be a secret.
    lines = []
    for problem in error.errors(include_input=False, include_url=False):
        field = "_".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        lines.append(f"{PREFIX}{field.upper()}: {message}." if field else f"{message}.")
    return " ".join(lines)
