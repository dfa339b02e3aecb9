"""The house: what every service stands on, opened once per process and handed around.

Settings, database and key ring, and the few facts derived from them. It holds no
state that changes; opening it makes no connection.
"""

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from sqlalchemy import select

from mailer import keys
from mailer.db import migrate, session
from mailer.db.people import Subscriber
from mailer.db.seal import Vault
from mailer.db.session import Database
from mailer.keys import Family, KeyRing
from mailer.messages.dkim import NotSignable, Signer
from mailer.messages.facts import Organisation
from mailer.messages.tokens import Purpose, TokenKeys, mint
from mailer.settings import Settings, SettingsError


@dataclass(frozen=True)
class House:
    settings: Settings
    database: Database
    ring: KeyRing = field(repr=False)

    @property
    def vault(self) -> Vault:
        return self.database.vault

    @cached_property
    def tokens(self) -> TokenKeys:
        """Keys of links and return addresses."""
        return _token_keys(self.ring, Family.TOKEN)

    @cached_property
    def message_keys(self) -> TokenKeys:
        """Keys of Message-IDs."""
        return _token_keys(self.ring, Family.MESSAGE)

    @cached_property
    def organisation(self) -> Organisation:
        chosen = self.settings
        return Organisation(
            name=chosen.organisation,
            postal_address=chosen.postal_address,
            site_url=chosen.base_url,
            contact_address=chosen.contact_address,
            imprint=chosen.imprint or None,
        )

    @cached_property
    def signer(self) -> Signer | None:
        """Signs what is sent, or None where the relay does. Raises SettingsError for a key that cannot."""
        path, selector = self.settings.dkim_key_file, self.settings.dkim_selector
        if path is None:
            return None
        try:
            return Signer(self.sending_domain, selector, path.read_bytes())
        except (OSError, NotSignable) as problem:
            why = problem if isinstance(problem, NotSignable) else type(problem).__name__
            raise SettingsError(
                f"MAILER_DKIM_KEY_FILE cannot be used: {why}. Check the path and the key."
            ) from None

    @property
    def sending_domain(self) -> str:
        return self.settings.from_address.rpartition("@")[2]

    def url(self, *parts: str) -> str:
        """An address of the web app: url('u', token) -> https://host/u/TOKEN."""
        return "/".join((self.settings.base_url, *parts))

    def unsubscribe_links(self, delivery_id: int) -> tuple[str, str]:
        """The two ways out that a mail names, with one token: its one-click address and its mailto."""
        token = mint(self.tokens, Purpose.UNSUBSCRIBE, delivery_id)
        return self.url("u", token), f"mailto:u+{token}@{self.settings.bounce_domain}?subject=unsubscribe"

    def preferences_url(self, subscriber_id: int, now: datetime) -> str:
        """A link that opens one person's preferences for the next 30 days."""
        day = int(now.timestamp()) // 86_400
        return self.url("p", mint(self.tokens, Purpose.PREFERENCES, subscriber_id, day))

    def confirm_url(self, subscription_id: int, now: datetime) -> str:
        """The link of a confirmation request; the page says for how long it is valid."""
        hour = int(now.timestamp()) // 3_600
        return self.url("c", mint(self.tokens, Purpose.CONFIRM, subscription_id, hour))

    def attend_url(self, registration_id: int, now: datetime) -> str:
        """The link by which an address's owner confirms a registration; its page says for how long."""
        hour = int(now.timestamp()) // 3_600
        return self.url("attend", mint(self.tokens, Purpose.ATTEND, registration_id, hour))

    def registration_url(self, registration_id: int) -> str:
        """The link by which an attendee looks after one registration, without an account."""
        return self.url("r", mint(self.tokens, Purpose.REGISTRATION, registration_id))

    def join_url(self, registration_id: int, generation: int) -> str:
        """One attendee's door to the symposium's room; it opens while `join_generation` is this one."""
        return self.url("j", mint(self.tokens, Purpose.JOIN, registration_id, generation))


def _token_keys(ring: KeyRing, family: Family) -> TokenKeys:
    part = ring[family]
    return TokenKeys(current=part.current, keys=part.keys)


def open_house(settings: Settings, *, checked: bool = True) -> House:
    """Open the house for work. Raises KeyRingError or DatabaseVersionError with what to do.

    `checked=False` leaves out the look at the database's version, for `migrate` itself.
    """
    ring = keys.read(settings.key_ring, settings.keys)
    house = House(settings, session.connect(settings.database, Vault(ring)), ring)
    if checked:
        try:
            migrate.check(house.database)
            _check_ring(house)
        except BaseException:
            house.database.engine.dispose()
            raise
    return house


def found_ring(settings: Settings) -> None:
    """Make the folder and key ring of a new embedded house; a house that has either keeps it."""
    if settings.database_url or settings.keys or (settings.data / "mailer.db").exists():
        return
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not settings.key_ring.exists():
        keys.create(settings.key_ring)


def found_house(settings: Settings) -> House:
    """Open the embedded house, making its folder, key ring and tables when they are not there yet."""
    found_ring(settings)
    house = open_house(settings, checked=False)
    migrate.migrate(house.database)
    _check_ring(house)
    return house


def _check_ring(house: House) -> None:
    # A ring of another database would be noticed only at the first mail; notice it at the start.
    with house.database.read() as reading:
        row = reading.execute(select(Subscriber.id, Subscriber.address).limit(1)).first()
    if row is not None:
        from mailer.db.seal import ADDRESS

        house.vault.open(ADDRESS, row.id, row.address)
