"""The self-audit: every minute the invariants are looked at, and what is broken becomes an incident.

Looking changes nothing. An incident closes when its check looks again and finds nothing;
mailings with an open one are looked at however long they are over.
"""

from collections.abc import Callable, Iterable
from datetime import datetime

import structlog

from mailer.services.house import House
from mailer.services.incidents import close_incident, open_incidents, raise_incident
from mailer.services.sending import audit_flow, audit_rows
from mailer.services.sending.audit_look import Finding, Look

Check = Callable[[Look], Iterable[Finding]]

CHECKS: dict[Check, frozenset[str]] = {
    audit_rows.books_balance: frozenset({"books"}),
    audit_rows.what_ended_says_when: frozenset({"unsettled"}),
    audit_rows.what_was_sent_was_claimed: frozenset({"unclaimed"}),
    audit_rows.nothing_is_sent_too_late: frozenset({"late"}),
    audit_rows.nothing_is_sent_too_early: frozenset({"early"}),
    audit_rows.what_is_done_has_nothing_open: frozenset({"unfinished"}),
    audit_rows.what_is_claimed_has_a_claim: frozenset({"orphan"}),
    audit_rows.every_open_delivery_has_a_mailing: frozenset({"stray"}),
    audit_rows.every_delivery_has_a_person: frozenset({"nobody"}),
    audit_rows.nobody_is_mailed_after_leaving: frozenset({"left"}),
    audit_rows.nobody_can_be_mailed_twice: frozenset({"guard", "twice"}),
    audit_flow.what_is_due_leaves: frozenset({"overdue"}),
    audit_flow.what_lapsed_is_recovered: frozenset({"lease"}),
    audit_flow.what_is_announced_is_expanded: frozenset({"stuck"}),
    audit_flow.doubt_is_small: frozenset({"doubt"}),
    audit_flow.journals_can_be_read: frozenset({"journal"}),
    audit_flow.processes_live: frozenset({"silent"}),
}
"""Every check and the kinds of incidents it answers for."""

KINDS = frozenset().union(*CHECKS.values())

log = structlog.get_logger()


def audit(house: House, now: datetime) -> list[Finding]:
    """Look at everything once; raise an incident for each finding and close those that are gone.

    Raises what the database raises: an audit that cannot look says so by failing.
    """
    with house.database.read() as session:
        before = {one.key for one in open_incidents(session) if _kind(one.key) in KINDS}
        look = Look(session, house, now, frozenset(_mailings(before)))
        findings = [finding for check in CHECKS for finding in check(look)]
    gone = before - {finding.key for finding in findings}
    if findings or gone:
        with house.database.write() as session:
            for finding in findings:
                if raise_incident(session, finding.key, finding.words, now):
                    log.error("incident-raised", incident=finding.key)
            for key in sorted(gone):
                close_incident(session, key, now)
    return findings


def _kind(key: str) -> str:
    return key.partition(":")[0]


def _mailings(keys: Iterable[str]) -> Iterable[int]:
    numbers = (key.partition(":")[2] for key in keys)
    return (int(number) for number in numbers if number.isdecimal())
