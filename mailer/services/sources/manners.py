"""Manners of a guest: robots.txt is asked and kept to, the caller's name and contact are given.

A site's robots.txt is fetched at most once a day through the same guard as the page
(RFC 9309). Where it cannot be had because the server fails, nothing is fetched.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from protego import Protego

from mailer.db.dialect import insert
from mailer.db.sources import RobotsFile
from mailer.ingest.errors import FetchError, ServerError
from mailer.ingest.fetch import Fetched, Limits, Resolve, Seen, fetch
from mailer.ingest.hosts import Target
from mailer.services.house import House

NAME = "mailer"  # what robots.txt may call us
ROBOTS_BYTES = 500 * 1024  # RFC 9309 2.5
ROBOTS_LIFETIME = timedelta(days=1)  # RFC 9309 2.4
FAILED_LIFETIME = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Web:
    """How the world is reached; tests reach their own server on loopback."""

    limits: Limits = field(default_factory=Limits)
    resolve: Resolve | None = None


class NotPermitted(FetchError):
    """The site does not want this address to be fetched by programs."""


class Guest:
    """Fetches one source with the house's name, within its site, as its robots.txt allows."""

    def __init__(self, house: House, web: Web, now: datetime, *, by_hand: bool = False) -> None:
        self._house, self._web, self._now = house, web, now
        self._by_hand = by_hand  # a person waits: a refusal of earlier today is asked about once more
        self.delay: float | None = None  # seconds between visits that the site asks for

    def fetch(self, url: str, limits: Limits, seen: Seen) -> Fetched:
        """Fetch a page of the site named by `url`. Raises FetchError, NotPermitted and ServerError."""
        home = _site(urlsplit(url).hostname or "")

        def permit(target: Target) -> None:
            if _site(target.host) != home:
                raise FetchError(
                    f"The address leads to another site now ({target.host}). "
                    "If that is right, watch the new address instead."
                )
            self._ask_robots(target)

        return fetch(
            url, limits=limits, resolve=self._web.resolve, agent=self._agent, seen=seen, permit=permit
        )

    @property
    def _agent(self) -> str:
        chosen = self._house.settings
        words = f"{NAME} (reader of statements and programmes; {chosen.base_url}; {chosen.contact_address})"
        return "".join(letter for letter in words if letter.isascii() and letter.isprintable())

    def _ask_robots(self, target: Target) -> None:
        origin = f"{target.scheme}://{target.host}:{target.port}"
        robots = self._robots(origin, _root(target))
        if self._by_hand and robots.fetched_at < self._now and not _allows(robots, target):
            robots = self._fresh(origin, _root(target), robots)
        if not robots.usable:
            raise NotPermitted(
                "The site's robots.txt cannot be fetched, so nothing else is. It is tried again."
            )
        if not _allows(robots, target):
            raise NotPermitted(
                "The site's robots.txt asks programs not to fetch this address. Ask its owner to allow "
                f"“{NAME}”, or save the page and read it with: mailer ingest"
            )
        self.delay = Protego.parse(robots.text).crawl_delay(NAME)

    def _robots(self, origin: str, root: str) -> RobotsFile:
        with self._house.database.read() as session:
            known = session.get(RobotsFile, origin)
        if known is not None:
            lifetime = ROBOTS_LIFETIME if known.usable else FAILED_LIFETIME
            if self._now - known.fetched_at < lifetime:
                return known
        return self._fresh(origin, root, known)

    def _fresh(self, origin: str, root: str, known: RobotsFile | None) -> RobotsFile:
        text = _robots_text(lambda: self._get(f"{root}/robots.txt"))
        if text is None and known is not None and known.usable:
            text = known.text  # an old word of theirs is better than none
        facts = {"text": text or "", "usable": text is not None, "fetched_at": self._now}
        with self._house.database.write() as session:  # two sources of one site may be read at once
            fresh = insert(session, RobotsFile).values(origin=origin, **facts)
            session.execute(fresh.on_conflict_do_update(index_elements=["origin"], set_=facts))
        return RobotsFile(origin=origin, **facts)

    def _get(self, url: str) -> bytes:
        limits = self._web.limits
        wanted = Limits(
            seconds=limits.seconds,
            octets=ROBOTS_BYTES,
            cut=True,
            types=(),
            plain_http=limits.plain_http,
            allow=limits.allow,
            tls=limits.tls,
        )
        return fetch(url, limits=wanted, resolve=self._web.resolve, agent=self._agent).body


def _allows(robots: RobotsFile, target: Target) -> bool:
    return robots.usable and bool(Protego.parse(robots.text).can_fetch(target.url, NAME))


def _robots_text(get: Callable[[], bytes]) -> str | None:
    """The rules; "" where the site has none, None where the server fails."""
    try:
        return get().decode("utf-8", "replace").replace("\0", "")
    except ServerError as problem:
        return "" if 400 <= problem.status < 500 and problem.status != 429 else None
    except FetchError:
        return None


def _site(host: str) -> str:
    return host.lower().removeprefix("www.")


def _root(target: Target) -> str:
    return f"{target.scheme}://{urlsplit(target.url).netloc}"
