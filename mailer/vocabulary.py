"""The words of the house as enums: one word per thing, shared by every room.

This module imports nothing of the project. The values are what the database,
the commands and the logs show, so a value that has landed is never renamed.
"""

from enum import StrEnum


class MailingKind(StrEnum):
    """What a mailing is; also the name of its folder in templates/email."""

    STATEMENT_ALERT = "statement_alert"
    REGISTRATION_CONFIRMATION = "registration_confirmation"
    REMINDER = "reminder"
    CHANGE = "change"
    CANCELLATION = "cancellation"
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
    REGISTERED_LATE = "registered_late"
    DATE_UNCONFIRMED = "date_unconfirmed"
    DATE_MOVED = "date_moved"
    SYMPOSIUM_CANCELLED = "symposium_cancelled"
    MAILING_CANCELLED = "mailing_cancelled"
    EMBARGO_DROPPED = "embargo_dropped"
    ALREADY_TOLD = "already_told"
    NOTHING_CHANGED = "nothing_changed"
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


class RegistrationState(StrEnum):
    CONFIRMED = "confirmed"
    WAITING = "waiting"
    WITHDRAWN = "withdrawn"


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
    ACCEPTED = "accepted"
    REJECTED = "rejected"


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


class EndSource(StrEnum):
    ANNOUNCED = "announced"
    ASSUMED = "assumed"
