"""Compose: claimed deliveries and their mailings' compiled forms become letters.

A form is compiled once per mailing and language and kept; a recipient costs a look
into the vault and a join of bytes. `Composer` needs the database and works before
anything is fed to the engine; `Mail.compose` needs nothing and runs on the engine's thread
when a connection is ready for it, so that no more letters exist than are on their way. What is to be
signed may be prepared ahead of that, and finished with a signature that was made elsewhere.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache

import structlog
from sqlalchemy.exc import NoResultFound
from sqlalchemy.orm import Session

from mailer import failpoints
from mailer.db.mailings import Mailing
from mailer.db.outbox import Candidate
from mailer.db.programme import Registration, Symposium, SymposiumVersion
from mailer.db.readers import Original
from mailer.db.seal import ADDRESS, NAME, SealBroken
from mailer.failpoints import Failpoint
from mailer.keys import KeyRingError
from mailer.messages import templates
from mailer.messages.calendar import Calendar
from mailer.messages.dkim import Unsigned
from mailer.messages.form import Form, compile_form
from mailer.messages.headers import MailingHeaders
from mailer.messages.tokens import message_id, return_address
from mailer.services.house import House
from mailer.services.sending.attendee import language_for, links, manner_of
from mailer.services.sending.claim import Slice
from mailer.services.sending.content import Content, Reader, read_content
from mailer.services.sending.embargo_rows import TEXTS
from mailer.services.sending.invitation import invitation, local_time, old_local_time, stamp
from mailer.services.sending.reader import entry_of, read_reader, spoken_of
from mailer.services.sending.settle import GIVEN_BACK, UNFIT
from mailer.services.sending.texts import language_of, text_ahead
from mailer.services.sending.told import ENDS_THE_ENTRY, Heard, told_by
from mailer.services.sending.traits import TRAITS
from mailer.services.sending.variant import Variant
from mailer.smtp.letter import Lease, Letter
from mailer.smtp.outcome import Outcome
from mailer.vocabulary import MailingKind

# What is wrong with one letter, and with none of its neighbours.
REFUSALS = (ValueError, LookupError, SealBroken, KeyRingError, NoResultFound)
KEPT_FORMS = 256  # forms kept per process; a form weighs about as much as its mail

log = structlog.get_logger()
_date_header = lru_cache(maxsize=64)(format_datetime)  # all rows of one expansion share their moment


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """What all letters of one mailing and language share while one slice is composed."""

    house: House
    mailing: Mailing
    symposium: Symposium | None
    language: str
    originals: Mapping[int, Original]  # what its letters answer, by delivery
    form: Form | None  # None: it could not be compiled, and none of its letters can be
    kind: MailingKind  # of a notice: what it is to these readers
    entry: Symposium | None  # what the calendar part speaks of; None: the mail has none
    told: SymposiumVersion | None  # what these readers heard of last, where the mail says the difference
    lease: Lease
    now: datetime
    boottime: float  # the engine's clock at `now`


class Mail:
    """One claimed delivery on its way: a draft for the engine, and what settling needs to know of it."""

    __slots__ = ("_made", "_prepared", "candidate", "fence", "frame", "held_back", "id", "registration")

    def __init__(
        self, candidate: Candidate, fence: int, frame: Frame, registration: Registration | None
    ) -> None:
        self.id = candidate.id
        self.fence = fence
        self.candidate = candidate
        self.frame = frame
        self.registration = registration
        self.held_back = False  # staff have stopped it, or this worker stops: it is not offered any more
        self._made: Letter | Outcome | None = None
        self._prepared: tuple[str, bytes, Unsigned] | None = None  # recipient, mail, and what to sign

    @property
    def told(self) -> Heard | None:
        """What this mail makes an attendee know."""
        told = told_by(self.frame.kind, self.frame.symposium)
        return told if told is None or self.frame.entry else told._replace(invites=None)

    def prepare(self) -> bytes | None:
        """Compose ahead, but for the signature: the digest to be signed, or None where there is none."""
        signer = self.frame.house.signer
        if self.held_back or signer is None:
            return None
        try:
            recipient, data = self._filled()
            unsigned = signer.prepare(data, signed_at=self.frame.now, canonical=True)
        except REFUSALS as problem:
            self._made = self._unfit(problem)
            return None
        self._prepared = recipient, data, unsigned
        return unsigned.digest

    def finish(self, signature: bytes) -> None:
        """With the signature of what `prepare` gave, the letter is made."""
        signer = self.frame.house.signer
        assert self._prepared is not None
        assert signer is not None
        (recipient, data, unsigned), self._prepared = self._prepared, None
        self._made = self._letter(recipient, signer.finish(data, unsigned, signature))

    def compose(self) -> Letter | Outcome:
        """The letter, or the outcome of one that cannot be composed: it fails alone."""
        if self.held_back:
            return GIVEN_BACK
        if self._made is not None:
            return self._made
        signer = self.frame.house.signer
        try:
            recipient, data = self._filled()
            if signer is not None:
                data = signer.sign(data, signed_at=self.frame.now, canonical=True)
            return self._letter(recipient, data)
        except REFUSALS as problem:
            return self._unfit(problem)

    def _unfit(self, problem: Exception) -> Outcome:
        # The kind says which rule; the message may hold what nobody may read.
        log.error("letter-unfit", delivery=self.id, rule=type(problem).__name__)
        return UNFIT

    def _filled(self) -> tuple[str, bytes]:
        """The recipient, and the mail as it is written to them."""
        candidate, frame = self.candidate, self.frame
        if candidate.subscriber_id is None or candidate.address is None or frame.form is None:
            raise ValueError("erased, or without a form")
        address = frame.house.vault.open(ADDRESS, candidate.subscriber_id, candidate.address)
        values = self._values(address, candidate.subscriber_id)
        return address, frame.form.fill(values, calendar=self._calendar(address))

    def _letter(self, recipient: str, data: bytes) -> Letter:
        candidate, frame = self.candidate, self.frame
        house = frame.house
        letter = Letter(
            id=candidate.id,
            fence=self.fence,
            sender=return_address(
                house.tokens, frame.mailing.token_key, candidate.id, house.settings.bounce_domain
            ),
            recipient=recipient,
            data=data,
            not_after=frame.boottime + (candidate.not_after - frame.now).total_seconds(),
            lease=frame.lease,
            canonical=True,
        )
        if failpoints.armed:
            failpoints.reach(Failpoint.COMPOSED)
        return letter

    def _values(self, address: str, subscriber_id: int) -> dict[str, str]:
        candidate, frame = self.candidate, self.frame
        house, mailing = frame.house, frame.mailing
        name = house.vault.open(NAME, subscriber_id, candidate.name) if candidate.name else ""
        leave_url, leave_mailto = house.unsubscribe_links(candidate.id)
        values = {
            "to_address": address,
            "date": _date_header(candidate.created_at),
            "message_id": message_id(
                house.message_keys, mailing.message_key, candidate.id, house.sending_domain
            ),
            "first_name": name or templates.neutral_name(frame.language),
            "unsubscribe_url": leave_url,
            "unsubscribe_mailto": leave_mailto,
            "preferences_url": house.preferences_url(subscriber_id, frame.now),
        }
        if mailing.kind is MailingKind.OPT_IN and candidate.subscription_id is not None:
            values["confirm_url"] = house.confirm_url(candidate.subscription_id, frame.now)
        registration = self.registration
        if registration is not None:
            values |= links(house, mailing, registration, frame.now)
        if frame.originals:
            original = frame.originals[candidate.id]
            values["in_reply_to"] = message_id(
                house.message_keys, original.message_key, original.delivery_id, house.sending_domain
            )
        if frame.symposium is not None:
            chosen = registration.zone if registration is not None else None
            zone = candidate.zone if chosen is None else chosen
            values |= local_time(frame.symposium, zone or None, frame.language)
            if frame.told is not None:
                values |= old_local_time(frame.told, zone or None, frame.language)
        return values

    def _calendar(self, address: str) -> Calendar | None:
        frame, symposium, registration = self.frame, self.frame.entry, self.registration
        if symposium is None or registration is None:
            return None
        return invitation(
            frame.house,
            symposium,
            sequence=symposium.sequence + registration.sequence_bump,
            cancelled=frame.kind in ENDS_THE_ENTRY,
            attendee=address,
            stamped_at=stamp(symposium, self.candidate.created_at),
            language=frame.language,
        )


@dataclass
class Composer:
    """Compiles forms as they are needed. One per process."""

    house: House
    boottime: Callable[[], float]
    _forms: OrderedDict[tuple[object, ...], Form] = field(default_factory=OrderedDict)

    def mails(self, session: Session, slice_: Slice, *, lease: Lease, now: datetime) -> Iterator[Mail]:
        """The slice's mails, ready to be composed one by one without the database."""
        frames: dict[tuple[object, ...], Frame] = {}
        boottime = self.boottime()
        wish_of = slice_.texts.wish_of if slice_.texts.originals else None
        digests, rest = _apart(slice_)
        for candidate in digests:
            its_own = self._frame(session, slice_, candidate, None, frames, (lease, now, boottime))
            yield Mail(candidate, slice_.fence, its_own, None)
        for candidate in rest:
            registration_id = candidate.registration_id
            # To subscribers a mailing says the same in each language; an attendee's mail is looked at alone.
            short = wish_of(candidate) if wish_of else (candidate.mailing_id, candidate.languages, None)
            frame = frames.get(short) if registration_id is None else None
            registration = slice_.around.registrations.get(registration_id) if registration_id else None
            if frame is None:
                frame = self._frame(session, slice_, candidate, registration, frames, (lease, now, boottime))
                if registration_id is None:
                    frames[short] = frame
            yield Mail(candidate, slice_.fence, frame, registration)

    def prepare(self, session: Session, mailing: Mailing, wished: str) -> bool:
        """Compile what readers with these languages will get; False when it breaks a rule."""
        language, text = language_of(wished), text_ahead(session, mailing, wished)
        if text is None:
            return True
        variant = Variant(text=text)
        key = _form_key(mailing, language, variant, None)
        return self._form(session, key, mailing, language, None, variant, Reader(), None) is not None

    def _frame(
        self,
        session: Session,
        slice_: Slice,
        candidate: Candidate,
        registration: Registration | None,
        frames: dict[tuple[object, ...], Frame],
        times: tuple[Lease, datetime, float],
    ) -> Frame:
        mailing = slice_.around.mailings[candidate.mailing_id]
        symposium = slice_.around.symposia.get(mailing.symposium_id or 0)
        lease, now, boottime = times
        language = language_for(registration, candidate.languages)
        variant = Variant(
            manner_of(mailing, symposium, registration, now),
            slice_.around.digests.get(candidate.id, ()) if slice_.around.digests else (),
            slice_.texts.chosen.get(slice_.texts.wish_of(candidate)),
        )
        key = _form_key(mailing, language, variant, symposium)
        if key not in frames:
            reader = read_reader(session, mailing, symposium, variant.manner)
            kind = reader.kind or mailing.kind
            entry = entry_of(kind, symposium, variant.manner, reader.entered)
            frames[key] = Frame(
                house=self.house,
                mailing=mailing,
                symposium=spoken_of(kind, symposium, reader.told),
                language=language,
                originals=slice_.texts.originals if TRAITS[mailing.kind].answers else {},
                form=self._form(session, key, mailing, language, symposium, variant, reader, entry),
                kind=kind,
                entry=entry,
                told=reader.told,
                lease=lease,
                now=now,
                boottime=boottime,
            )
        return frames[key]

    def _form(
        self,
        session: Session,
        key: tuple[object, ...],
        mailing: Mailing,
        language: str,
        symposium: Symposium | None,
        variant: Variant,
        reader: Reader,
        entry: Symposium | None,
    ) -> Form | None:
        """The mailing's compiled form in one language; None for one that breaks a rule.

        A symposium that changed makes a new one, and so do readers who were told something else before, each
        set of statements that readers of a digest are told of, and each text of a statement.
        """
        form = self._forms.get(key)
        if form is None:
            try:
                content = read_content(
                    session,
                    self.house,
                    mailing,
                    language,
                    symposium=symposium,
                    variant=variant,
                    reader=reader,
                )
                form = build_form(
                    self.house,
                    reader.kind or mailing.kind,
                    language,
                    content,
                    label=mailing.key,
                    calendar=entry is not None,
                )
            except REFUSALS as problem:
                log.error("form-unfit", mailing=mailing.id, rule=type(problem).__name__)
                return None
            self._forms[key] = form
            if len(self._forms) > KEPT_FORMS:
                self._forms.popitem(last=False)
        self._forms.move_to_end(key)
        return form


def _apart(slice_: Slice) -> tuple[Sequence[Candidate], Sequence[Candidate]]:
    """The slice's digests, of which one mailing says different things to different people, and the rest."""
    digests = slice_.around.digests
    if digests is None:
        return (), slice_.held
    return [one for one in slice_.held if one.id in digests], [
        one for one in slice_.held if one.id not in digests
    ]


def _form_key(
    mailing: Mailing, language: str, variant: Variant, symposium: Symposium | None
) -> tuple[object, ...]:
    """What a compiled form is kept under: a symposium that changed, or a newly approved text, is another."""
    return mailing.id, language, variant, symposium.changed_at if symposium else mailing.facts.get(TEXTS)


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
        in_reply_to=traits.answers,
        test=test,
    )


def _feedback_id(label: str, list_key: str, kind: MailingKind) -> str:
    mailing = label.replace(":", "-")[:40]
    return f"{mailing}:{list_key[:24]}:{kind.value.replace('_', '-')}:mailer1"
