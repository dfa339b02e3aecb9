"""Which stage of the corridor a stack belongs to, by the innermost file of ours on it. Pure."""

from collections.abc import Sequence

CLAIM, COMPOSE, SMTP, JOURNAL, SETTLE, OTHER = "claim", "compose", "smtp", "journal", "settle", "other"
STAGES = (CLAIM, COMPOSE, SMTP, JOURNAL, SETTLE, OTHER)

# The first that is found in a path of ours decides.
_BY_FILE = (
    ("mailer/smtp/journal", JOURNAL),
    ("mailer/smtp/ledger", JOURNAL),
    ("mailer/smtp/", SMTP),
    ("sending/claim", CLAIM),
    ("sending/lanes", CLAIM),
    ("sending/slices", CLAIM),
    ("sending/settle", SETTLE),
    ("sending/closing", SETTLE),
    ("db/settlement", SETTLE),
    ("sending/compose", COMPOSE),
    ("sending/content", COMPOSE),
    ("sending/invitation", COMPOSE),
    ("mailer/messages/", COMPOSE),
    ("db/seal", COMPOSE),
)
_BY_FUNCTION = {
    "lock_due": CLAIM,
    "take": CLAIM,
    "open_claim": CLAIM,
    "settle": SETTLE,
    "record_attempts": SETTLE,
    "release": SETTLE,
    "renew": SETTLE,
    "_write": SETTLE,
}
ENGINE_THREAD = "smtp-engine"
_OURS = ("mailer/", "workers/")
_LIBRARIES = ("site-packages/", "/lib/python")


def stage_of(places: Sequence[tuple[str, str]], thread: str) -> tuple[str, str]:
    """(stage, innermost place of ours) of a stack, given as (file, function), innermost first.

    The event loop of the engine shows nothing of ours while it reads and writes sockets: that is smtp.
    """
    ours = [(file, function) for file, function in places if _is_ours(file)]
    innermost = _named(ours[0]) if ours else _named(places[0]) if places else "nothing"
    for file, function in ours:
        for part, stage in _BY_FILE:
            if part in file:
                return stage, innermost
        if function in _BY_FUNCTION and "mailer/" in file:
            return _BY_FUNCTION[function], innermost
    if not ours and thread.startswith(ENGINE_THREAD):
        return SMTP, "uvloop"
    return OTHER, innermost


def _is_ours(file: str) -> bool:
    return any(part in file for part in _OURS) and not any(part in file for part in _LIBRARIES)


def _named(place: tuple[str, str]) -> str:
    file, function = place
    for part in _OURS:
        if part in file and _is_ours(file):
            return f"{file[file.rindex(part) :]} {function}"
    return f"{file.rsplit('/', 1)[-1]} {function}"
