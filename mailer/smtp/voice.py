"""How a server words its yes to each step, so that a reply out of step is noticed.

When several letters are in flight nearly every reply is a 250, and one reply too many
would be taken for the next letter's. Servers answer MAIL, RCPT and the end of a letter
in words of their own (`2.1.0 Ok`, `2.1.5 Ok`, `2.0.0 Ok: queued`). They are learned from
letters that go by DATA, whose 354 keeps the count; a reply that speaks in the words of
another step ends the connection. A server that says the same to everything is not
spoken to with several letters in flight. RSET is among them because its reply stands where
a letter's last one is missing.
"""

import re

from mailer.smtp.reply import Reply
from mailer.smtp.steps import Step

_WORDS = re.compile(rb"([245]\.\d{1,3}\.\d{1,3})? ?([A-Za-z]+:?(?=[ .,;!]|$))?")

Words = tuple[bytes | None, bytes | None]  # the enhanced code and the first word, where there are such


def words_of(reply: Reply) -> Words:
    """What in a reply is the same for every letter; never an address or an id."""
    found = _WORDS.match(reply.lines[0]) if reply.lines else None
    return (found[1], found[2]) if found else (None, None)


class _Usual:
    """The words of one step, and the last reply that had them."""

    __slots__ = ("reply", "words")

    def __init__(self) -> None:
        self.words: Words | None = None
        self.reply: Reply | None = None


class Voice:
    """What one host was heard to say; shared by its connections."""

    def __init__(self) -> None:
        self._all = self._reset, self._mail, self._rcpt, self._dot = _Usual(), _Usual(), _Usual(), _Usual()
        self.is_known = False
        """True once its words for RSET, MAIL, RCPT and the end of a letter were heard."""
        self.is_clear = False
        """True when it is known, and a reply too many or too few would be heard before a letter's last."""

    def learn(self, step: Step, reply: Reply) -> None:
        """A yes whose place is sure."""
        usual = self._of(step)
        if usual.words is None:
            usual.words, usual.reply = words_of(reply), reply
            reset, mail, rcpt, dot = (each.words for each in self._all)
            self.is_known = None not in (reset, mail, rcpt, dot)
            # The reply behind a letter's last is that of the next letter's RSET: one too few shows there.
            self.is_clear = self.is_known and rcpt not in (mail, dot) and dot != reset

    def agrees(self, step: Step, reply: Reply) -> bool:
        """False when this yes is in the words of another step."""
        usual = self._of(step)
        if reply is usual.reply:
            return True
        words = words_of(reply)
        if words == usual.words:
            usual.reply = reply
            return True
        others = [each.words for each in self._all if each is not usual and each.words is not None]
        if words in others:
            return False
        if usual.words is None:
            usual.words = words
            return True
        # Other words than usual: still out of place where the code is another step's.
        code = words[0]
        return code is None or code == usual.words[0] or code not in [other[0] for other in others]

    def _of(self, step: Step) -> _Usual:
        if step is Step.DOT:
            return self._dot
        if step is Step.MAIL:
            return self._mail
        return self._rcpt if step is Step.RCPT else self._reset
