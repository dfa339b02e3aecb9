"""What the sink does wrong, and when: rules that a drill writes and the sink obeys. Pure.

A rule names a place in the conversation and an act. The places, in their order:
connect, greeting, ehlo, auth, mail, rcpt, data, bdat, body (its first octets are
here), end (the mail is here whole and not accepted), dot (it is accepted and written
down, the reply is next), rset, quit.
"""

import random
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Act(StrEnum):
    """What happens instead of the ordinary reply."""

    RESET = "reset"  # the connection is cut with RST
    CLOSE = "close"  # it is closed in an orderly way, without the reply
    DELAY = "delay"  # the reply comes after `seconds`
    SAY = "say"  # `text` is the reply; at `dot` a 4xx or 5xx refuses the mail
    LEAVE = "leave"  # 421, then the connection is closed
    HUGE = "huge"  # a reply of one megabyte
    GARBAGE = "garbage"  # bytes that are no reply
    EXTRA = "extra"  # the reply, and one more that nobody asked for
    SKIP = "skip"  # no reply, and on with the next command
    DRIP = "drip"  # one byte every `seconds`
    MUTE = "mute"  # no reply and nothing more, the connection stays open
    GREYLIST = "greylist"  # at rcpt: each pair of sender and recipient is refused once


@dataclass(frozen=True, kw_only=True)
class Rule:
    """`after`: so many go well first. `times`: how often it happens, 0 for always. `every`: each n-th only.

    `per_connection` counts on each connection anew.
    """

    at: str
    act: Act
    after: int = 0
    times: int = 0
    every: int = 1
    seconds: float = 0.0
    text: str = ""
    per_connection: bool = False

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Count:
    """How often a rule was asked and how often it applied."""

    asked: int = 0
    applied: int = 0

    def applies(self, rule: Rule) -> bool:
        self.asked += 1
        beyond = self.asked - rule.after
        if beyond <= 0 or (beyond - 1) % rule.every or (rule.times and self.applied >= rule.times):
            return False
        self.applied += 1
        return True


@dataclass
class Script:
    """The rules in force and what they have done so far."""

    rules: tuple[Rule, ...] = ()
    counts: list[Count] = field(default_factory=list)
    dice: random.Random = field(default_factory=lambda: random.Random(1))

    def replace(self, rules: list[dict[str, Any]]) -> None:
        self.rules = tuple(Rule(**{**one, "act": Act(one["act"])}) for one in rules)
        self.counts = [Count() for _ in self.rules]

    def act_at(self, place: str, own: dict[int, Count]) -> Rule | None:
        """The first rule that applies here. `own` are the counts of this connection."""
        for number, rule in enumerate(self.rules):
            if rule.at != place:
                continue
            shared = self.counts[number]
            count = own.setdefault(id(rule), Count()) if rule.per_connection else shared
            if count.applies(rule):
                if count is not shared:
                    shared.applied += 1
                return rule
        return None

    @property
    def applied(self) -> int:
        """How often any rule has applied."""
        return sum(count.applied for count in self.counts)
