"""What servers mean when their codes are vague: words in the text of a reply.

Pure. Rules are looked up in text from which addresses were already taken out,
so that `spam@example.org` is not a word about spam. A rule here must name a
thing ("no such user"), never a single file's wording.
"""

import re
from enum import Enum

MAX_WAIT = 4 * 3600.0  # seconds; the retry ladder's last step
_SECONDS_PER_UNIT = {"s": 1, "m": 60, "h": 3600}

_WAIT = re.compile(r"\b(?:in|for|after|within|least)\s+(\d{1,6})\s*(s|m|h)(?:ec|in|ou?r)?\w*", re.IGNORECASE)
_WAIT_CLOCK = re.compile(r"\b(?:in|for|after)\s+(\d{1,3}):(\d\d)(?::(\d\d))?\b", re.IGNORECASE)


class Phrase(Enum):
    """One meaning, and the words that carry it."""

    NO_SUCH_USER = (
        r"no such (?:\w+ )?(?:user|recipient|mailbox|person|address|account)",
        r"(?:user|recipient|mailbox|account|(?<!ip )address)(?: \w+)?(?: is)? "
        r"(?:unknown|not found|invalid|not known)",
        r"(?:unknown|invalid|non-?existent) (?:user|recipient|local|mailbox|address|account)",
        r"(?:does not|doesn'?t|did not|not) exist",
        r"no (?:mailbox|account) here|recipientnotfound|doesn'?t have an? \S+ account",
    )
    FULL = (
        r"(?:mailbox|inbox|quota|storage|mailfolder)\b.{0,30}\b(?:full|exceed\w*|limit)",
        r"over ?quota|exceed\w*.{0,20}(?:quota|storage allocation)|insufficient (?:disk )?space",
    )
    DISABLED = (r"(?:mailbox|account|user|recipient)\b.{0,20}\b(?:disabled|suspended|inactive|deactivated)",)
    BLOCKED = (
        r"\bspam|\bblock(?:ed|list|ing)|\bblack-?list|\bdeny-?list|\bdnsbl|\brbl\b|\breputation|\bpolicy|\bpolicies",
        r"\bunsolicited|\bbulk mail|\bnowl\b|\bspamhaus|\bjunk",
    )
    THROTTLED = (
        r"throttl|\brate\b.{0,20}(?:limit|exceed)|(?:exceed|limit)\w*.{0,20}\brate\b|unusual rate",
        r"too (?:many|much) (?:mail|message|connection|session|recent|concurrent)",
        r"sending (?:rate|quota)|message quota|\[ts\d\d\]|tss0\d",
    )
    GREYLISTED = (r"gr[ea]y-?list", r"\btry again (?:in|after) \d")
    SENDER = (
        r"sender(?: address| domain)?(?: \w+)? "
        r"(?:rejected|refused|denied|invalid|unknown|not found|does not exist)",
        r"(?:rejected|refused|invalid|unknown|bad) sender|domain of sender|sender verif",
    )
    RELAY_DENIED = (
        r"relay(?:ing)? (?:access )?(?:is )?(?:denied|not (?:permitted|allowed)|prohibited)",
        r"unable to relay|not permitted to relay",
    )
    LOGIN_FIRST = (
        r"authentication (?:is )?required|must (?:first )?authenticate|not authenticated|log ?in first",
    )
    TLS_FIRST = (r"\bstarttls\b|must (?:use|issue) (?:tls|ssl)|encryption (?:is )?required",)
    TOO_BIG = (
        r"(?:message|size|mail)\b.{0,30}\b(?:too (?:big|large)|exceed\w*.{0,20}size)",
        r"size (?:limit|exceed)|too much (?:mail )?data",
    )

    def __init__(self, *patterns: str) -> None:
        self._pattern = re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)

    def said_in(self, text: str) -> bool:
        """True when the text says this."""
        return self._pattern.search(text) is not None


def wait_asked_for(text: str) -> float | None:
    """The seconds a server asks to wait ("try again in 5 minutes", "in 00:05:00"), at most four hours."""
    clock = _WAIT_CLOCK.search(text)
    if clock:
        first, second, third = int(clock[1]), int(clock[2]), clock[3]
        seconds = first * 60 + second if third is None else first * 3600 + second * 60 + int(third)
        return min(float(seconds), MAX_WAIT)
    spoken = _WAIT.search(text)
    if spoken:
        return min(float(int(spoken[1]) * _SECONDS_PER_UNIT[spoken[2].lower()]), MAX_WAIT)
    return None
