"""Why somebody did not get a mail, in one sentence for each typed reason."""

from mailer.smtp.outcome import Reason
from mailer.vocabulary import SkipReason

SENTENCES: dict[str, str] = {
    SkipReason.UNCONFIRMED: "They have not confirmed their subscription or registration yet.",
    SkipReason.UNSUBSCRIBED: "They unsubscribed before it could leave.",
    SkipReason.SUPPRESSED: "Their address is on the suppression list and is never mailed.",
    SkipReason.ERASED: "They had their data erased.",
    SkipReason.WITHDRAWN: "They withdrew their registration.",
    SkipReason.WAITING: "They are on the waiting list and have no place yet.",
    SkipReason.REGISTERED_LATE: "They registered after this reminder was due; their confirmation said it.",
    SkipReason.PLANNED_LATE: "Its time had passed already when it was planned.",
    SkipReason.SUPERSEDED: "Another mail within the hour says the same and more.",
    SkipReason.RULE_REMOVED: "Its rule was removed.",
    SkipReason.ATTENDANCE: "It is for others: whether they attended is not what it says.",
    SkipReason.NOTED_LATE: "Whether they were there was noted after its time.",
    SkipReason.DATE_UNCONFIRMED: "The symposium's date still waits for a person to confirm it.",
    SkipReason.DATE_MOVED: "The symposium moved to another date; the reminder for that date takes its place.",
    SkipReason.SYMPOSIUM_CANCELLED: "The symposium was called off.",
    SkipReason.MAILING_CANCELLED: "Staff stopped this mailing.",
    SkipReason.AWAITING_TRANSLATION: "They wait for the translation into their language.",
    SkipReason.CORRECTED: "Its text was corrected since; they are told by the correction instead.",
    SkipReason.RETRACTED: "The statement was retracted before it could leave.",
    SkipReason.EMBARGO_DROPPED: "The publication was called off before its embargo was over.",
    SkipReason.ALREADY_TOLD: "They were told already: by a notice, an earlier reminder, or another mail.",
    SkipReason.NOTHING_CHANGED: "What it would have told them they know already.",
    SkipReason.NOTHING_LEFT: "Every statement it would have told of was withdrawn or held back.",
    SkipReason.TOO_LATE: "It could not leave in time and would have come too late.",
    Reason.ADDRESS: "This address does not exist.",
    Reason.ADDRESS_SYNTAX: "This address is not one that can be mailed.",
    Reason.RENDER: "This mail could not be composed; the log names the rule.",
    "written_off": "Nobody knows whether it arrived, and staff chose not to send it again.",
}


def sentence(reason: str) -> str:
    """The sentence for a reason; one that has none is shown as it is."""
    return SENTENCES.get(reason, f"{reason.replace('_', ' ')}.")
