"""What a mail is about: one frozen dataclass of facts for each kind of mailing.

A fact is finished text, a date or a URL. Times arrive already in words (`messages.when`), so nothing
here knows a clock. Facts never hold anything about a recipient: what differs from reader to reader
is a slot. Only the fields marked `STAFF_TEXT` may hold slot markers; every other field that holds
one is refused by `templates.render`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from mailer.vocabulary import Frequency, MailingKind

# Staff text whose placeholders `slots.expand_placeholders` has already turned into markers.
STAFF_TEXT: Mapping[str, bool] = {"may_hold_slots": True}

_LEAD = re.compile(r"([1-9][0-9]{0,3})([wdhm])")


class Tense(StrEnum):
    """Where the symposium stands at the moment the mail leaves; the words must be true then."""

    BEFORE = "before"
    UNDER_WAY = "under_way"


class LeadUnit(StrEnum):
    WEEKS = "w"
    DAYS = "d"
    HOURS = "h"
    MINUTES = "m"


class ChangedThing(StrEnum):
    """What moved, besides the date and time, between what an attendee was told and what is true now."""

    TITLE = "title"
    PLACE = "place"
    END = "end"
    JOINING = "joining"


@dataclass(frozen=True, kw_only=True)
class Organisation:
    """Who writes. `postal_address` and `imprint` may have several lines."""

    name: str
    postal_address: str
    site_url: str
    contact_address: str
    imprint: str | None = None


@dataclass(frozen=True, kw_only=True)
class StatementFacts:
    """A published statement. `fallback` is true when there is no text in the language they wish for most."""

    title: str
    published_on: date
    body: str
    body_language: str
    url: str
    topic_name: str
    fallback: bool = False


@dataclass(frozen=True, kw_only=True)
class DigestEntry:
    """One statement of a digest, of which the mail gives title, date and first lines.

    `fallback`: as of a statement. `again`: they got it in another language before.
    """

    title: str
    published_on: date
    body: str
    body_language: str
    url: str
    fallback: bool = False
    again: bool = False


@dataclass(frozen=True, kw_only=True)
class DigestFacts:
    """What came out since the reader's last digest, the newest first. `day` is the reader's own."""

    frequency: Frequency
    day: date
    entries: tuple[DigestEntry, ...]
    topic_name: str
    archive_url: str

    def __post_init__(self) -> None:
        if not self.entries:
            raise ValueError("A digest without statements is not written.")


@dataclass(frozen=True, kw_only=True)
class CorrectionFacts(StatementFacts):
    """The corrected statement, with what was wrong and what is right, in the language of the body.

    `alone`: the text in this language was corrected, and none in another.
    """

    wrong: str
    right: str
    alone: bool = False


@dataclass(frozen=True, kw_only=True)
class RetractionFacts:
    """A statement that is taken back. `body_language` is the title's, `language` that of the reason."""

    title: str
    body_language: str
    published_on: date
    reason: str
    language: str
    url: str
    topic_name: str


@dataclass(frozen=True, kw_only=True)
class TranslationFacts(StatementFacts):
    """A statement that is now there in the reader's language, after they got it in another."""


@dataclass(frozen=True, kw_only=True)
class SymposiumFacts:
    """One symposium as announced.

    `when` is worded in the language of the mail; `language` is the language of `title`, `series` and
    `where`. `offset` (such as "UTC-4") is None while the hour is not announced: then there is no
    `local_time` slot either, because there is no instant to convert. `converter_url` is the page that
    says this instant on other clocks.
    """

    title: str
    when: str
    page_url: str
    language: str
    offset: str | None = None
    series: str | None = None
    where: str | None = None
    online: bool = False
    calendar_url: str | None = None
    converter_url: str | None = None
    end_assumed: bool = False


@dataclass(frozen=True, kw_only=True)
class AskedFor:
    """One symposium that somebody wants to register for; `when` in words, `title` in `language`."""

    title: str
    when: str
    language: str
    tense: Tense = Tense.BEFORE


@dataclass(frozen=True, kw_only=True)
class RegistrationRequestFacts:
    """Nothing in it was typed by whoever filled in the form: the symposia are the organisation's words."""

    symposia: tuple[AskedFor, ...]
    valid_hours: int = 72

    def __post_init__(self) -> None:
        if not self.symposia:
            raise ValueError("A request to confirm a registration names at least one symposium.")


@dataclass(frozen=True, kw_only=True)
class RegistrationFacts:
    """`joining`: the mail holds the way into the room (`join_url`). `promoted`: a place became free."""

    symposium: SymposiumFacts
    joining: bool = False
    promoted: bool = False
    tense: Tense = Tense.BEFORE


@dataclass(frozen=True, kw_only=True)
class WaitingListFacts:
    symposium: SymposiumFacts


@dataclass(frozen=True, kw_only=True)
class WithdrawalFacts:
    """`invited`: their calendar may hold the symposium, and the mail takes it out again."""

    symposium: SymposiumFacts
    invited: bool = False


@dataclass(frozen=True, kw_only=True)
class ReminderFacts:
    """`lead` is the rule's own distance to the start: "1w", "1d", "2h", "30m"; None for a time of its own.

    With `joining` the mail has the slot `join_url`.
    """

    symposium: SymposiumFacts
    lead: str | None
    tense: Tense = Tense.BEFORE
    joining: bool = False

    def __post_init__(self) -> None:
        if self.lead is not None and _LEAD.fullmatch(self.lead) is None:
            raise ValueError(
                f'The lead "{self.lead}" is not a number with one of w, d, h, m. Write it like "1d".'
            )

    @property
    def lead_count(self) -> int:
        return int(self.lead[:-1]) if self.lead else 0

    @property
    def lead_unit(self) -> LeadUnit | None:
        return LeadUnit(self.lead[-1]) if self.lead else None


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that changed, as a reader would say it. `old` is None when it was not known before."""

    what: ChangedThing
    old: str | None
    new: str


@dataclass(frozen=True, kw_only=True)
class ChangeFacts:
    """What an attendee was told, against what is true now.

    `old_when` is the time they were told, in words, or None if it stays as it was; the new one is
    `symposium.when`. `changes` is everything else. `told` is false where nobody knows what they were told:
    then only what is true now is said. `waiting`, here and below: the reader waits for a place. With
    `old_local` the mail has the slot `old_local_time`: the old time on the reader's clock.
    """

    symposium: SymposiumFacts
    old_when: str | None = None
    old_local: bool = False
    changes: tuple[Change, ...] = ()
    told: bool = True
    waiting: bool = False

    def __post_init__(self) -> None:
        if self.told and self.old_when is None and not self.changes:
            raise ValueError("Nothing changed, so there is no change notice to write.")


@dataclass(frozen=True, kw_only=True)
class DateFixedFacts:
    """`symposium.when` is the date that was open until now."""

    symposium: SymposiumFacts
    waiting: bool = False


@dataclass(frozen=True, kw_only=True)
class PostponedFacts:
    """`old_when` is the date that does not hold any more; `symposium.when` what is known of the new one."""

    symposium: SymposiumFacts
    old_when: str | None = None
    old_local: bool = False
    waiting: bool = False


@dataclass(frozen=True, kw_only=True)
class FollowUpFacts:
    """After the end. `came` is None while nobody has noted who attended: then neither is said."""

    symposium: SymposiumFacts
    came: bool | None = None
    recording_url: str | None = None


@dataclass(frozen=True, kw_only=True)
class CancellationFacts:
    """`symposium` is as its readers know it. `reason` is in the symposium's language."""

    symposium: SymposiumFacts
    reason: str | None = None
    waiting: bool = False


@dataclass(frozen=True, kw_only=True)
class CampaignFacts:
    """Staff's own words. `subject` and `body` may hold slot markers, expanded beforehand."""

    subject: str = field(metadata=STAFF_TEXT)
    body: str = field(metadata=STAFF_TEXT)
    body_language: str
    topic_name: str
    view_url: str | None = None
    fallback: bool = False


@dataclass(frozen=True, kw_only=True)
class OptInFacts:
    """Nothing in it was typed by whoever filled in the form: the topic is the organisation's word."""

    topic_name: str
    valid_hours: int = 72


@dataclass(frozen=True, kw_only=True)
class WelcomeFacts:
    topic_names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.topic_names:
            raise ValueError("A welcome names at least one topic.")


Facts = (
    StatementFacts
    | CorrectionFacts
    | RetractionFacts
    | TranslationFacts
    | DigestFacts
    | RegistrationRequestFacts
    | RegistrationFacts
    | WaitingListFacts
    | WithdrawalFacts
    | ReminderFacts
    | ChangeFacts
    | DateFixedFacts
    | PostponedFacts
    | FollowUpFacts
    | CancellationFacts
    | CampaignFacts
    | OptInFacts
    | WelcomeFacts
)

FACTS_OF_KIND: Mapping[MailingKind, type[Facts]] = {
    MailingKind.STATEMENT_ALERT: StatementFacts,
    MailingKind.DIGEST: DigestFacts,
    MailingKind.REGISTRATION_REQUEST: RegistrationRequestFacts,
    MailingKind.CORRECTION: CorrectionFacts,
    MailingKind.RETRACTION: RetractionFacts,
    MailingKind.TRANSLATION: TranslationFacts,
    MailingKind.REGISTRATION_CONFIRMATION: RegistrationFacts,
    MailingKind.WAITING_LIST: WaitingListFacts,
    MailingKind.WITHDRAWAL: WithdrawalFacts,
    MailingKind.REMINDER: ReminderFacts,
    MailingKind.CHANGE: ChangeFacts,
    MailingKind.DATE_FIXED: DateFixedFacts,
    MailingKind.POSTPONED: PostponedFacts,
    MailingKind.FOLLOW_UP: FollowUpFacts,
    MailingKind.CANCELLATION: CancellationFacts,
    MailingKind.CAMPAIGN: CampaignFacts,
    MailingKind.OPT_IN: OptInFacts,
    MailingKind.WELCOME: WelcomeFacts,
}
