"""The words of the house as enums: one word per thing, shared by every room.

This module imports nothing of the project. The values are what the database,
the commands and the logs show, so a value that has landed is never renamed.
"""

from enum import StrEnum


class MailingKind(StrEnum):
    """What a mailing is; also the name of its folder in templates/email."""

    STATEMENT_ALERT = "statement_alert"
    DIGEST = "digest"
    REGISTRATION_REQUEST = "registration_request"
    CORRECTION = "correction"
    RETRACTION = "retraction"
    TRANSLATION = "translation"
    REGISTRATION_CONFIRMATION = "registration_confirmation"
    WAITING_LIST = "waiting_list"
    WITHDRAWAL = "withdrawal"
    REMINDER = "reminder"
    CHANGE = "change"
    DATE_FIXED = "date_fixed"
    POSTPONED = "postponed"
    CANCELLATION = "cancellation"
    FOLLOW_UP = "follow_up"
    CAMPAIGN = "campaign"
    OPT_IN = "opt_in"
    WELCOME = "welcome"


class MailingState(StrEnum):
    DRAFT = "draft"
    IN_REVIEW = "in_review"
    SCHEDULED = "scheduled"
    EXPANDING = "expanding"
    SENDING = "sending"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"


class DeliveryState(StrEnum):
    PENDING = "pending"
    CLAIMED = "claimed"
    SENT = "sent"
    DEFERRED = "deferred"
    FAILED = "failed"
    IN_DOUBT = "in_doubt"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    BOUNCED = "bounced"
    COMPLAINED = "complained"


class SkipReason(StrEnum):
    """Why a recipient of the audience got no mail. Every reason has a sentence in services."""

    UNCONFIRMED = "unconfirmed"
    UNSUBSCRIBED = "unsubscribed"
    SUPPRESSED = "suppressed"
    ERASED = "erased"
    WITHDRAWN = "withdrawn"
    WAITING = "waiting"
    REGISTERED_LATE = "registered_late"
    PLANNED_LATE = "planned_late"
    SUPERSEDED = "superseded"
    RULE_REMOVED = "rule_removed"
    ATTENDANCE = "attendance"
    NOTED_LATE = "noted_late"
    DATE_UNCONFIRMED = "date_unconfirmed"
    DATE_MOVED = "date_moved"
    SYMPOSIUM_CANCELLED = "symposium_cancelled"
    MAILING_CANCELLED = "mailing_cancelled"
    AWAITING_TRANSLATION = "awaiting_translation"  # of a row that waits: it is not lost
    CORRECTED = "corrected"
    RETRACTED = "retracted"
    EMBARGO_DROPPED = "embargo_dropped"
    ALREADY_TOLD = "already_told"
    NOTHING_CHANGED = "nothing_changed"
    NOTHING_LEFT = "nothing_left"
    TOO_LATE = "too_late"


class DoubtPolicy(StrEnum):
    """What happens to a delivery that is in doubt: send again, or wait for a person."""

    RETRY = "retry"
    HOLD = "hold"


class ReceiptPart(StrEnum):
    """The parts of a receipt, each of which can be the audience of a later campaign."""

    REACHED = "reached"
    UNREACHED = "unreached"
    DOUBTFUL = "doubtful"


class SubscriptionState(StrEnum):
    PENDING = "pending"
    CONFIRMED = "confirmed"
    UNSUBSCRIBED = "unsubscribed"


class Frequency(StrEnum):
    """How often a subscriber wants to hear of a topic's statements."""

    AT_ONCE = "at_once"
    DAILY = "daily"
    WEEKLY = "weekly"


class RegistrationState(StrEnum):
    """Pending: asked for on a form, and not yet confirmed by the link in the mail; holds no place."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    WAITING = "waiting"
    WITHDRAWN = "withdrawn"


class QuestionKind(StrEnum):
    """What answer a registration question takes."""

    TEXT = "text"
    CHOICE = "choice"
    YES_NO = "yes_no"


class Attendance(StrEnum):
    """Whether an attendee came, as staff or an imported list say; unknown is neither."""

    UNKNOWN = "unknown"
    ATTENDED = "attended"
    ABSENT = "absent"


class RuleTiming(StrEnum):
    """How a reminder rule says when: civil days, exact minutes, a wall time of its own, after the end."""

    DAYS_BEFORE = "days_before"
    MINUTES_BEFORE = "minutes_before"
    AT = "at"
    AFTER_END = "after_end"


class RuleAudience(StrEnum):
    """Which of the confirmed attendees a rule is for; who came is known only after the end."""

    ALL = "all"
    ATTENDED = "attended"
    NO_SHOW = "no_show"


class ConsentKind(StrEnum):
    ASKED = "asked"
    CONFIRMED = "confirmed"
    WITHDRAWN = "withdrawn"


class ConsentSource(StrEnum):
    """The door through which a person's consent came or went."""

    IMPORT = "import"
    FORM = "form"
    ONE_CLICK = "one_click"
    MAILTO = "mailto"
    PREFERENCES = "preferences"
    STAFF = "staff"


class SuppressionReason(StrEnum):
    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    UNSUBSCRIBE_ALL = "unsubscribe_all"
    ERASED = "erased"
    STAFF = "staff"


# What a person did themselves, a fresh confirmed opt-in of theirs undoes; staff cannot.
LIFTABLE = frozenset({SuppressionReason.UNSUBSCRIBE_ALL, SuppressionReason.ERASED})


class StatementState(StrEnum):
    DRAFT = "draft"
    IN_REVIEW = "in_review"
    SCHEDULED = "scheduled"  # under embargo: public from the embargo's moment on
    PUBLISHED = "published"
    RETRACTED = "retracted"


class TextState(StrEnum):
    """How far a statement's text in one language is. Only draft and ready are stored, the rest is seen."""

    MISSING = "missing"
    DRAFT = "draft"
    READY = "ready"
    STALE = "stale"  # a correction has left it behind


class CorrectionKind(StrEnum):
    CORRECTION = "correction"
    RETRACTION = "retraction"


class CorrectionState(StrEnum):
    DRAFT = "draft"
    SETTLING = "settling"  # announced: nothing older leaves, and what is on the wire is awaited
    DONE = "done"


class EmbargoHold(StrEnum):
    """Why an embargo does not open by itself: a person has to look first."""

    ASKED = "asked"  # somebody wants to move or drop it, and a second person has not decided yet
    TZDATA = "tzdata"  # the world's clocks changed: its wall time is another instant now
    EDITED = "edited"  # the text is not the approved one any more


class EmbargoWish(StrEnum):
    """What may become of an embargo before its time; each needs approval."""

    LIFT = "lift"
    MOVE = "move"
    DROP = "drop"


class SymposiumState(StrEnum):
    DRAFT = "draft"
    ANNOUNCED = "announced"
    CANCELLED = "cancelled"


class CampaignState(StrEnum):
    DRAFT = "draft"
    SENT = "sent"


class ProposalState(StrEnum):
    OPEN = "open"
    HELD = "held"  # one of too many from one fetch: a person looks at the source first
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"  # the source took it back before anybody decided


class Precision(StrEnum):
    """How exactly the world has said when a symposium is."""

    DATETIME = "datetime"
    DATE = "date"
    MONTH = "month"
    YEAR = "year"
    NONE = "none"


class FieldSource(StrEnum):
    """Where a fact was read: said in so many words, inferred, or settled by a person."""

    EXPLICIT = "explicit"
    WEEKDAY = "weekday"
    CONTEXT = "context"
    STAFF = "staff"


class SourceKind(StrEnum):
    """What a watched address gives; "auto" is told from the first fetch on by its bytes."""

    AUTO = "auto"
    PAGE = "page"
    FEED = "feed"
    JSON_FEED = "json-feed"
    CALENDAR = "calendar"


class SourceState(StrEnum):
    WATCHED = "watched"
    PAUSED = "paused"


class ItemFate(StrEnum):
    """What became of one item of a watched source."""

    SEEN = "seen"  # known, and nothing was made of it
    TAKEN = "taken"  # a draft was made of it, or it belongs to a statement or symposium that is known
    HELD = "held"  # it leaves something open that only a person can answer


class Medium(StrEnum):
    """What a fact was read from. `TRUST` orders them: a lower one never overwrites a higher one."""

    PAGE = "page"
    FEED = "feed"
    LINKED_DATA = "json-ld"
    CALENDAR = "calendar"
    STAFF = "staff"


TRUST = {medium: rank for rank, medium in enumerate(Medium)}


class EndSource(StrEnum):
    ANNOUNCED = "announced"
    ASSUMED = "assumed"


class Link(StrEnum):
    """Where the link of a mail stands that asks for one more yes."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
