"""Compose: claimed deliveries and the mailing's compiled forms become letters.

A form is compiled once per mailing and language and kept; a recipient costs a look
into the vault and a join of bytes. Preview and test send use the same function.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime

from sqlalchemy.exc import NoResultFound
from sqlalchemy.orm import Session

from mailer.db.outbox import Candidate
from mailer.db.programme import Symposium
from mailer.db.seal import ADDRESS, NAME, SealBroken
from mailer.keys import KeyRingError
from mailer.messages import templates
from mailer.messages.calendar import Calendar
from mailer.messages.form import Form, compile_form
from mailer.messages.headers import MailingHeaders
from mailer.messages.tokens import message_id, return_address
from mailer.services.house import House
from mailer.services.sending.content import Content, choose_language, read_content
from mailer.services.sending.invitation import invitation, local_time
from mailer.services.sending.traits import TRAITS
from mailer.smtp.letter import Letter
from mailer.vocabulary import MailingKind

# What is wrong with one letter, and with none of its neighbours.
UNFIT = (ValueError, LookupError, SealBroken, KeyRingError, NoResultFound)
KEPT_FORMS = 256  # forms kept per process; a form weighs about as much as its mail


@dataclass(frozen=True)
class Unfit:
    """A delivery whose mail cannot be composed; it fails alone."""

    id: int
    fence: int
    why: str


@dataclass
class Composer:
    """Compiles forms as they are needed and fills them. One per process."""

    house: House
    _forms: OrderedDict[tuple[object, ...], Form] = field(default_factory=OrderedDict)

    def compose(
        self, session: Session, held: Iterable[Candidate], *, fence: int, now: datetime, monotonic: float
    ) -> Iterator[Letter | Unfit]:
        """A letter for each claimed delivery, or why there is none."""
        for candidate in held:
            try:
                yield self._letter(session, candidate, fence=fence, now=now, monotonic=monotonic)
            except UNFIT as problem:  # the kind says which rule; the message may hold what nobody may read
                yield Unfit(candidate.delivery.id, fence, type(problem).__name__)

    def _letter(
        self, session: Session, candidate: Candidate, *, fence: int, now: datetime, monotonic: float
    ) -> Letter:
        delivery, mailing, subscriber = candidate.delivery, candidate.mailing, candidate.subscriber
        if subscriber is None:
            raise ValueError("erased")
        address = self.house.vault.open(ADDRESS, subscriber.id, subscriber.address)
        language = choose_language(subscriber.languages)
        form = self.form(session, candidate, language)
        data = form.fill(
            self._values(candidate, address, language, now),
            calendar=self._calendar(candidate, address),
        )
        if self.house.signer is not None:
            data = self.house.signer.sign(data, signed_at=now)
        keys = self.house.tokens
        return Letter(
            id=delivery.id,
            fence=fence,
            sender=return_address(keys, mailing.token_key, delivery.id, self.house.settings.bounce_domain),
            recipient=address,
            data=data,
            not_after=monotonic + (delivery.not_after - now).total_seconds(),
        )

    def form(self, session: Session, candidate: Candidate, language: str) -> Form:
        """The mailing's compiled form in one language.

        A symposium that changed makes a new one, and so does each date that attendees were told before.
        """
        mailing, symposium, told = candidate.mailing, candidate.symposium, _told(candidate)
        key = (mailing.id, language, told, symposium.changed_at if symposium else None)
        form = self._forms.get(key)
        if form is None:
            form = build_form(
                self.house,
                mailing.kind,
                language,
                read_content(
                    session, self.house, mailing, language, symposium=symposium, told_generation=told
                ),
                label=mailing.key,
                calendar=_has_calendar(mailing.kind, symposium),
            )
            self._forms[key] = form
            if len(self._forms) > KEPT_FORMS:
                self._forms.popitem(last=False)
        self._forms.move_to_end(key)
        return form

    def _values(self, candidate: Candidate, address: str, language: str, now: datetime) -> dict[str, str]:
        delivery, mailing, subscriber = candidate.delivery, candidate.mailing, candidate.subscriber
        if subscriber is None:
            raise ValueError("erased")
        name = self.house.vault.open(NAME, subscriber.id, subscriber.name) if subscriber.name else ""
        leave_url, leave_mailto = self.house.unsubscribe_links(delivery.id)
        values = {
            "to_address": address,
            "date": format_datetime(delivery.created_at),
            "message_id": message_id(
                self.house.message_keys, mailing.message_key, delivery.id, self.house.sending_domain
            ),
            "first_name": name or templates.neutral_name(language),
            "unsubscribe_url": leave_url,
            "unsubscribe_mailto": leave_mailto,
            "preferences_url": self.house.preferences_url(subscriber.id, now),
        }
        if mailing.kind is MailingKind.OPT_IN and candidate.subscription is not None:
            values["confirm_url"] = self.house.confirm_url(candidate.subscription.id, now)
        if candidate.symposium is not None:
            values |= local_time(candidate.symposium, subscriber.zone, language)
        return values

    def _calendar(self, candidate: Candidate, address: str) -> Calendar | None:
        symposium, registration = candidate.symposium, candidate.registration
        if symposium is None or registration is None:
            return None
        if not _has_calendar(candidate.mailing.kind, symposium):
            return None
        return invitation(
            self.house,
            symposium,
            sequence=symposium.sequence + registration.sequence_bump,
            cancelled=candidate.mailing.kind is MailingKind.CANCELLATION,
            attendee=address,
            stamped_at=candidate.delivery.created_at,
        )


def _told(candidate: Candidate) -> int | None:
    """The date this attendee heard of last, where the mail is about the difference."""
    if candidate.mailing.kind is not MailingKind.CHANGE:
        return None
    told = candidate.registration.told_generation if candidate.registration else None
    return told or int(candidate.mailing.facts["told_generation"])


def _has_calendar(kind: MailingKind, symposium: Symposium | None) -> bool:
    if symposium is None or not TRAITS[kind].calendar:
        return False
    return symposium.starts_at is not None


def build_form(
    house: House,
    kind: MailingKind,
    language: str,
    content: Content,
    *,
    label: str,
    calendar: bool,
    test: bool = False,
) -> Form:
    """Render and compile what a mailing says in one language. Raises FormError naming the broken rule."""
    rendered = templates.render(kind, language, content.facts, house.organisation)
    return compile_form(rendered, _headers(house, kind, content, label, test=test), calendar=calendar)


def _headers(house: House, kind: MailingKind, content: Content, label: str, *, test: bool) -> MailingHeaders:
    traits, chosen, topic = TRAITS[kind], house.settings, content.topic
    list_key = topic.key if topic else "symposia"
    listed = traits.unsubscribe
    return MailingHeaders(
        from_name=chosen.organisation,
        from_address=chosen.from_address,
        reply_to=chosen.contact_address,
        list_id=f"{list_key}.{chosen.lists_domain}" if listed else None,
        list_name=chosen.organisation if listed else None,
        list_help=house.url("help") if listed else None,
        list_owner=f"mailto:{chosen.contact_address}" if listed else None,
        list_archive=house.url("statements") if listed and topic is not None and topic.public else None,
        unsubscribe=listed,
        bulk=traits.bulk,
        auto_submitted=traits.auto_submitted,
        feedback_id=_feedback_id(label, list_key, kind) if traits.bulk else None,
        test=test,
    )


def _feedback_id(label: str, list_key: str, kind: MailingKind) -> str:
    mailing = label.replace(":", "-")[:40]
    return f"{mailing}:{list_key[:24]}:{kind.value.replace('_', '-')}:mailer1"
