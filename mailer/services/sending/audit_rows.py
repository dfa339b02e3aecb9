"""Checks of the rows: books that balance, and deliveries that do not contradict themselves.

Each is a function of one look and says in words what it found. A break of these is a
fault of the program or a hand in the database, never of a server or of a recipient.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from mailer.db import suspicions
from mailer.services.sending.audit_look import Finding, Look
from mailer.vocabulary import MailingState

CLOCKS_APART = timedelta(minutes=1)  # between the web's clock that wrote a consent and the worker's
REPORT = "Keep the database as it is and report it"


def books_balance(look: Look) -> Iterator[Finding]:
    """Everyone of the audience is accounted for: every row stands in a state that exists."""
    for one in look.tallies:
        if one.rows != one.known:
            yield Finding(
                key=f"books:{one.mailing_id}",
                words=f"The books of {one.key} do not balance: {one.rows - one.known:,} of {one.rows:,} "
                f"deliveries stand in no known state, so nobody would send them. {REPORT}.",
            )


def what_ended_says_when(look: Look) -> Iterator[Finding]:
    """A delivery in a final state has the moment at which it got there."""
    for one in look.tallies:
        if one.unsettled:
            yield Finding(
                key=f"unsettled:{one.mailing_id}",
                words=f"{one.unsettled:,} deliveries of {one.key} are over without a time at which they "
                f"ended, as if something other than this program had moved them. {REPORT}.",
            )


def what_was_sent_was_claimed(look: Look) -> Iterator[Finding]:
    """Nothing is sent but by a worker that had claimed it."""
    for one in look.tallies:
        if one.unclaimed:
            yield Finding(
                key=f"unclaimed:{one.mailing_id}",
                words=f"{one.unclaimed:,} deliveries of {one.key} count as sent although no worker ever "
                f"held them: they may not have gone out at all. {REPORT}.",
            )


def nothing_is_sent_too_late(look: Look) -> Iterator[Finding]:
    """Nothing is claimed for sending after its end of life."""
    for mailing_id, (late, _) in look.untimely.items():
        if late:
            yield Finding(
                key=f"late:{mailing_id}",
                words=f"{late:,} mails of {look.key_of(mailing_id)} left after the moment from which they "
                f"were too late. Compare the clocks of the machines that send with the database's. {REPORT}.",
            )


def nothing_is_sent_too_early(look: Look) -> Iterator[Finding]:
    """Nothing is claimed before its mailing opens."""
    for mailing_id, (_, early) in look.untimely.items():
        if early:
            yield Finding(
                key=f"early:{mailing_id}",
                words=f"{early:,} mails of {look.key_of(mailing_id)} left before it was open, when it could "
                "still be undone. Compare the clocks of the machines that send with the database's. "
                f"{REPORT}.",
            )


def what_is_done_has_nothing_open(look: Look) -> Iterator[Finding]:
    """A mailing that counts as done has reached an end for everyone."""
    for one in look.tallies:
        if one.state is MailingState.DONE and one.open:
            yield Finding(
                key=f"unfinished:{one.mailing_id}",
                words=f"{one.key} counts as done although {one.open:,} people still wait for it: nothing "
                f"sends to them any more. Write to them with: mailer campaign draft ... --to {one.key} "
                f"--part unreached. {REPORT}.",
            )


def what_is_claimed_has_a_claim(look: Look) -> Iterator[Finding]:
    """A claimed delivery belongs to a claim that is open, so that somebody settles it."""
    for mailing_id, count in suspicions.without_claim(look.session).items():
        yield Finding(
            key=f"orphan:{mailing_id}",
            words=f"{count:,} deliveries of {look.key_of(mailing_id)} are held by no worker and by no claim "
            f"that the sweep could recover: they would wait for ever. {REPORT}.",
        )


def every_open_delivery_has_a_mailing(look: Look) -> Iterator[Finding]:
    """What still waits belongs to a mailing that exists."""
    for mailing_id, count in suspicions.without_mailing(look.session).items():
        yield Finding(
            key=f"stray:{mailing_id}",
            words=f"{count:,} deliveries belong to mailing number {mailing_id}, which does not exist; "
            "nobody will send them. Restore the mailing from a backup, or report it.",
        )


def every_delivery_has_a_person(look: Look) -> Iterator[Finding]:
    """A delivery names a subscriber who exists, or none after an erasure."""
    for mailing_id, count in suspicions.without_person(look.session, look.also).items():
        yield Finding(
            key=f"nobody:{mailing_id}",
            words=f"{count:,} deliveries of {look.key_of(mailing_id)} name a person who is not in the "
            f"database. An erasure empties that name, so something else removed them. {REPORT}.",
        )


def nobody_is_mailed_after_leaving(look: Look) -> Iterator[Finding]:
    """Who withdrew their consent before the claim is not mailed."""
    found = suspicions.mailed_after_leaving(look.session, look.mailings)
    counts = Counter(
        (one.mailing_id, one.key) for one in found if one.claimed_at - one.left_at > CLOCKS_APART
    )
    for (mailing_id, key), count in counts.items():
        yield Finding(
            key=f"left:{mailing_id}",
            words=f"{count:,} people were mailed by {key} although they had left its topic before. Stop it "
            f"with: mailer mailing cancel {key}. Then report it: this must never be.",
        )


def nobody_can_be_mailed_twice(look: Look) -> Iterator[Finding]:
    """The database itself refuses a second delivery of one mailing for one address."""
    lacking = suspicions.missing_guards(look.session)
    for table in lacking:
        yield Finding(
            key=f"guard:{table}",
            words=f"The table {table} lost the rule that keeps anybody from being mailed twice. Stop all "
            'mail with: mailer stop --yes "a rule is missing". Then restore the rule from a fresh '
            "migration.",
        )
    if lacking:
        for mailing_id, count in suspicions.twice(look.session, look.mailings).items():
            yield Finding(
                key=f"twice:{mailing_id}",
                words=f"{count:,} addresses have more than one delivery of {look.key_of(mailing_id)} and "
                f"may get it twice. Pause it with: mailer mailing pause {look.key_of(mailing_id)}",
            )
