"""What people are told of lanes: which one, what its server said in codes, what to do. Never an address."""

from datetime import datetime

from mailer.smtp.caution import BREAKER, FOREVER, STAFF, Alarm, Caution
from mailer.smtp.outcome import Outcome, Reason

KEY_LENGTH = 128  # characters that the tables keep of a lane's or an incident's key

_WHY = {
    STAFF: "staff closed it",
    Reason.BLOCKED.value: "its servers call our mail unwanted",
    Reason.SENDER.value: "its servers refused us several times in a row",
    Reason.THROTTLED.value: "its servers asked us to be slower",
    Reason.AUTH.value: "the relay refused our login",
    Reason.RELAY_DENIED.value: "the relay does not relay for us",
    Reason.NO_TLS.value: "the relay offers no safe connection",
    Reason.CONNECT.value: "nothing answers there",
}


def incident_key(kind: str, lane_key: str) -> str:
    """The key of an incident about a lane: `lane-blocked:google.com`, `relay-auth:relay:host:587`."""
    return f"{kind}:{lane_key}"[:KEY_LENGTH]


def told(alarm: Alarm, lane_key: str, outcome: Outcome) -> str:
    """An alarm in words: what happened and what to do."""
    said = " ".join(str(part) for part in (outcome.code, outcome.enhanced) if part is not None)
    if alarm is Alarm.BLOCKED:
        return (
            f"The servers of lane {lane_key} refuse our mail as unwanted ({said}). Nothing more goes there, "
            f"and nobody was unsubscribed. Find out why, then: mailer lane open {lane_key}"
        )
    return (
        f"The servers of lane {lane_key} refused us {BREAKER} times in a row, last with {said}: something is "
        f"wrong with our sender, not with the recipients. One mail is tried every half hour; at once with: "
        f"mailer lane open {lane_key}"
    )


def told_of_relay(lane_key: str, outcome: Outcome, until: datetime) -> str:
    """A relay's refusal in words. The server's own text is left out: it may name a user."""
    code = "" if outcome.code is None else f" ({outcome.code} at {outcome.phase.value})"
    return (
        f"Nothing leaves by {lane_key}: {why(outcome.reason.value)}{code}. No recipient is charged. It is "
        f"tried again at {until:%H:%M:%S} UTC; check its host, user and password in the settings."
    )


def why(reason: str | None) -> str:
    """Why a lane is closed, as part of a sentence."""
    if reason is None:
        return "nobody knows why"
    return _WHY.get(reason, f"the last try ended with: {reason.replace('_', ' ')}")


def state(caution: Caution, now: datetime) -> str:
    """open, slowed or closed, with how long and why."""
    if caution.is_closed(now) and caution.closed_until is not None:
        forever = caution.closed_until == FOREVER
        until = "until somebody opens it" if forever else f"until {caution.closed_until:%Y-%m-%d %H:%M} UTC"
        return f"closed {until}: {why(caution.closed_why)}"
    slowness = caution.slowness_at(now)
    return f"slowed to 1/{slowness:g}" if slowness > 1 else "open"
