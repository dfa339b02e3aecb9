"""Lanes of relays, and of the sites that are known: made once, rested, opened again.

A relay that refuses us before any letter rests; no recipient is charged for it and staff is
told. What closes here by itself opens here by itself, with the first mail the relay takes.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from mailer.db.dialect import insert
from mailer.db.lanes import LaneDomain
from mailer.db.seal import Vault
from mailer.services.incidents import close_incident, raise_incident
from mailer.services.sending.lane_rows import RELAY, TABLE, Standing, lock, of_caution, write
from mailer.services.sending.lane_words import KEY_LENGTH, incident_key, told_of_relay
from mailer.smtp import caution
from mailer.smtp.caution import STAFF, Alarm
from mailer.smtp.outcome import Outcome, Reason
from mailer.smtp.sites import KNOWN_DOMAINS

AUTH, DOWN = "relay-auth", "relay-down"

# Asked whenever mail was taken: built once.
_CLOSED_ONCE = select(TABLE.c.id).where(TABLE.c.key == bindparam("key"), TABLE.c.closed_why.is_not(None))
_SILENT = frozenset({Reason.CONNECT.value, Reason.LOST.value, Reason.TIMEOUT.value})
_FOR_A_PERSON = frozenset({Reason.AUTH, Reason.RELAY_DENIED, Reason.NO_TLS})


def relay_key(host: str, port: int) -> str:
    """The key of a relay's lane."""
    return f"{RELAY}{host}:{port}"[:KEY_LENGTH]


def know_lanes(session: Session, vault: Vault) -> None:
    """Make a lane for each known site and say which domains it serves; doing it again changes nothing."""
    _make_lanes(session, sorted(set(KNOWN_DOMAINS.values())))
    ids = {row.key: row.id for row in session.execute(select(TABLE.c.key, TABLE.c.id))}
    wanted = {vault.domain_index(f"x@{domain}"): ids[site] for domain, site in KNOWN_DOMAINS.items()}
    known = {row.domain_index: row.lane_id for row in session.execute(select(LaneDomain.__table__))}
    missing = [
        {"domain_index": index, "lane_id": lane_id}
        for index, lane_id in sorted(wanted.items())
        if known.get(index) != lane_id
    ]
    if missing:
        statement = insert(session, LaneDomain.__table__)
        columns = LaneDomain.__table__.c
        session.execute(
            statement.on_conflict_do_update(
                index_elements=[columns.domain_index], set_={"lane_id": statement.excluded.lane_id}
            ),
            missing,
        )


def ensure_relay_lane(session: Session, key: str) -> int:
    """The id of a relay's lane, which is made at its first use."""
    found = session.scalar(select(TABLE.c.id).where(TABLE.c.key == key))
    if found is None:
        _make_lanes(session, [key])
        found = session.scalar(select(TABLE.c.id).where(TABLE.c.key == key))
    assert found is not None
    return int(found)


def rest_relay(session: Session, key: str, outcome: Outcome, now: datetime) -> datetime:
    """Let a relay rest that refused or failed before any letter; returns until when. Staff is told."""
    lane = _locked(session, key)
    rested = caution.rested(lane.caution, outcome, now)
    if rested != lane.caution:
        write(session, lane.id, of_caution(rested))
    until = rested.closed_until or now
    kind = AUTH if outcome.reason in _FOR_A_PERSON else DOWN
    raise_incident(session, incident_key(kind, key), told_of_relay(key, outcome, until), now)
    return until


def relay_open(session: Session, key: str, now: datetime) -> bool:
    """True when mail may be offered to the relay now."""
    until = session.scalar(select(TABLE.c.closed_until).where(TABLE.c.key == key))
    return until is None or until <= now


def relay_reopened(session: Session, key: str, now: datetime) -> bool:
    """Say that a relay took a mail, which ends its rest and its incidents. False when it did not rest.

    A rest that the relay asked for lasts as long as it asked, whatever was in flight; what staff
    closed, or a block by policy, stays closed.
    """
    if session.connection().execute(_CLOSED_ONCE, {"key": key}).first() is None:
        return False
    lane = _locked(session, key)
    if lane.caution.closed_why in (None, STAFF, Alarm.BLOCKED.why):
        return False
    if lane.caution.is_closed(now) and lane.caution.closed_why not in _SILENT:
        return False
    write(session, lane.id, of_caution(caution.reopened(lane.caution, now)))
    for kind in (AUTH, DOWN, Alarm.BREAKER):
        close_incident(session, incident_key(kind, key), now)
    return True


def _locked(session: Session, key: str) -> Standing:
    lane_id = ensure_relay_lane(session, key)
    (found,) = lock(session, [lane_id])
    return found


def _make_lanes(session: Session, keys: Iterable[str]) -> None:
    """Insert the lanes that are missing. Another worker may be doing the same: whoever is second tries on."""
    known = set(session.scalars(select(TABLE.c.key)))
    for key in sorted(set(keys) - known):
        while session.scalar(select(TABLE.c.id).where(TABLE.c.key == key)) is None:
            next_id = select(func.max(TABLE.c.id) + 1).scalar_subquery()
            session.execute(insert(session, TABLE).values(id=next_id, key=key).on_conflict_do_nothing())
