"""Limits: how often forms may be sent from one network, and in all, before they are refused for an hour.

They do not ask whose address stands in the form, so a refusal tells nothing about it.
Networks are counted as keyed hashes, hour by hour, and forgotten after two days. How
often one address may be written to is the business of `request`.
"""

import ipaddress
from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.orm import Session

from mailer.db.dialect import insert
from mailer.db.doors import FormCount
from mailer.services.house import House

PER_NETWORK = 60  # forms an hour: a school or an office behind one address stays below it
IN_ALL = 1_000  # the overall breaker: more than a small organisation's busiest hour
PER_TOOL = 600  # sign-ups an hour by one API token: a list of thousands is imported by staff
KEPT_HOURS = 48
_PREFIX = {4: 24, 6: 48}


def allowed(session: Session, house: House, client: str | None, now: datetime) -> bool:
    """Count one form; False when its network, or all together, have sent too many in this hour."""
    hour = int(now.timestamp()) // 3_600
    # A network beyond its own limit does not count for all, or one robot could shut the form for everybody.
    within = _count(session, house, network_of(client), hour) <= PER_NETWORK
    return within and _count(session, house, "all", hour) <= IN_ALL


def allowed_tool(session: Session, house: House, token_id: int, now: datetime) -> bool:
    """Count one sign-up by another tool; False when it has sent too many in this hour.

    Its form may be open to robots, and a sign-up can cause a mail.
    """
    hour = int(now.timestamp()) // 3_600
    return _count(session, house, f"token:{token_id}", hour) <= PER_TOOL


def _count(session: Session, house: House, bucket: str, hour: int) -> int:
    row = insert(session, FormCount).values(
        bucket=house.vault.hidden_index("form", bucket), hour=hour, count=1
    )
    counted = session.execute(
        row.on_conflict_do_update(
            index_elements=["bucket", "hour"], set_={"count": FormCount.count + 1}
        ).returning(FormCount.count)
    )
    return int(counted.scalar_one())


def network_of(client: str | None) -> str:
    """The network an address of the internet belongs to; one word for all that are none."""
    try:
        address = ipaddress.ip_address((client or "").partition("%")[0])
    except ValueError:
        return "unknown"
    return str(ipaddress.ip_network(f"{address}/{_PREFIX[address.version]}", strict=False))


def forget(session: Session, now: datetime) -> None:
    """Delete counts that decide nothing any more."""
    oldest = int(now.timestamp()) // 3_600 - KEPT_HOURS
    session.execute(delete(FormCount).where(FormCount.hour < oldest))
