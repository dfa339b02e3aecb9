"""Direct delivery through the whole corridor: a real name server, real receiving servers, real rows."""

import socket
import time
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest
from sqlalchemy import select

from mailer.db.audience import books
from mailer.db.mailings import Attempt
from mailer.db.outbox import open_claim
from mailer.db.programme import Statement
from mailer.services.house import House
from mailer.services.programme import statements
from mailer.services.sending import open_roads
from mailer.services.sending.compose import Composer
from mailer.services.sending.departure import open_engine, relays_of
from mailer.services.sending.dispatch import Dispatcher
from mailer.services.sending.relay_lanes import know_lanes
from mailer.services.sending.shares import Shares
from mailer.services.sending.sweep import journal_folder, sweep, worker_name
from mailer.services.sending.way_out import WayOut
from mailer.settings import Settings, SettingsError
from mailer.smtp.journal import Journal
from mailer.smtp.letter import boottime
from mailer.smtp.pace import limits_of, share
from mailer.smtp.roads import MxRoads
from tests.smtp.name_server import NameServer, serving
from tests.smtp_server import MailServer


@pytest.fixture
def roads(server: MailServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    """The world's name server, with all mail hosts on this machine and on one port that is free."""
    with serving() as names:

        def here(_settings: Settings) -> MxRoads:
            return MxRoads(
                names.resolver(),
                fetch=None,
                clock=time.monotonic,
                requires_tls=lambda _: False,
                allow=lambda _: True,
                port=int(server.url.rpartition(":")[2]),
                families=(socket.AF_INET,),
            )

        monkeypatch.setattr(open_roads, "roads", here)
        yield names


def test_each_reader_is_reached_at_their_own_server_or_told_apart(
    house: House,
    server: MailServer,
    roads: NameServer,
    subscribe: Callable[..., int],
    statement: int,
    now: datetime,
) -> None:
    roads.add("example.org", "MX", "10 mx.example.org.")
    roads.add("mx.example.org", "A", "127.0.0.1")
    roads.add("closed.example.net", "MX", "0 .")  # takes no mail, RFC 7505
    for address in ("a@example.org", "b@example.org", "c@closed.example.net"):
        subscribe(address)
    direct = house.settings.model_copy(update={"smtp_url": "mx:"})
    house = House(direct, house.database, house.ring)
    assert relays_of(direct) == ()
    with house.database.write() as session:
        know_lanes(session, house.vault)
        found = session.get_one(Statement, statement)
        mailing = statements.publish(session, house, found, actor="test", now=now).id
    sweep(house, now)

    worker = worker_name("send")
    shares = Shares(worker)
    journal = Journal.open(journal_folder(house), worker)
    dispatcher = Dispatcher(
        house=house,
        engine=open_engine(house, journal, shares=shares, clock=lambda: now),
        journal=journal,
        composer=Composer(house, boottime),
        worker=worker,
        clock=lambda: now,
        way_out=WayOut.by(house, (), shares),
    )
    assert dispatcher.run() == 2
    dispatcher.close()
    with house.database.read() as session:
        account = books(session, mailing)
        assert (account.sent, account.failed, account.open) == (2, 1, 0)
        assert session.scalars(select(Attempt.reason)).all() == ["address"]
    assert len(server.mails) == 2


def test_a_sites_connections_are_shared_by_the_workers_that_hold_mail(house: House, now: datetime) -> None:
    shares = Shares("send-b")
    limit = limits_of("google.com").connections
    assert shares("google.com").connections == limit
    with house.database.write() as session:
        know_lanes(session, house.vault)
        for other in ("send-a", "send-b", "send-c"):
            open_claim(session, worker=other, now=now, leased_until=now.replace(year=now.year + 1))
    with house.database.read() as session:
        shares.refresh(session, now)
    parts = [share(limit, ("send-a", "send-b", "send-c"), name) for name in ("send-a", "send-b", "send-c")]
    assert sum(parts) == limit
    assert shares("google.com").connections == parts[1]


def test_dane_needs_a_resolver_on_this_machine(house: House, now: datetime) -> None:
    chosen = house.settings.model_copy(
        update={"smtp_url": "mx:", "dns_servers": "192.0.2.53", "dns_validates": True}
    )
    elsewhere = House(chosen, house.database, house.ring)
    with pytest.raises(SettingsError, match="MAILER_DNS_VALIDATES"):
        open_engine(elsewhere, None, shares=Shares("x"), clock=lambda: now)
