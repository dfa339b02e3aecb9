"""A letter made ready for the wire: its commands and its body, checked before any connection sees it.

Pure. A letter that could be misread on the wire, by its address or by its
line ends, fails here alone, and never reaches a server.
"""

from mailer.smtp.address import NULL_SENDER, AddressSyntaxError, WireAddress, to_wire
from mailer.smtp.letter import Letter
from mailer.smtp.outcome import Fault, Outcome, Reason, Verdict, decided_here
from mailer.smtp.session import Features


class Job:
    """One letter's way through one connection after another; used by one connection at a time."""

    __slots__ = (
        "dotted",
        "eight_bit",
        "fence",
        "holder",
        "id",
        "letter",
        "mail_accepted",
        "moved_before",
        "recipient",
        "refusal",
        "sender",
        "utf8",
    )

    def __init__(self, letter: Letter, sender: WireAddress, recipient: WireAddress) -> None:
        self.letter = letter
        self.id = letter.id
        self.fence = letter.fence
        self.sender = sender.octets
        self.recipient = recipient.octets
        self.utf8 = sender.utf8 or recipient.utf8
        self.eight_bit = (self.utf8 or not letter.canonical) and not letter.data.isascii()
        self.moved_before = False
        """True once a connection was lost under it before its turn really began."""
        self.mail_accepted = False
        self.dotted = False
        """True from the record of its final dot (or BDAT LAST) on: it may be on the wire whole."""
        self.refusal: Outcome | None = None
        self.holder: object = None
        """The connection that took it, until it is given back."""

    def restart(self) -> None:
        """Forget what an earlier connection answered."""
        self.mail_accepted = False
        self.dotted = False
        self.refusal = None


def prepare(letter: Letter) -> Job | Outcome:
    """The letter ready to go, or the outcome of a letter that may not touch the wire."""
    try:
        recipient = to_wire(letter.recipient)
    except AddressSyntaxError as error:
        return decided_here(Verdict.FAILED, Fault.RECIPIENT, Reason.ADDRESS_SYNTAX, text=str(error))
    try:
        sender = to_wire(letter.sender) if letter.sender else NULL_SENDER
    except AddressSyntaxError as error:
        return decided_here(Verdict.FAILED, Fault.SENDER, Reason.MALFORMED, text=f"sender: {error}")
    if not letter.canonical and _is_malformed(letter.data):
        text = "the message is empty, or holds NUL or a line end that is not CRLF"
        return decided_here(Verdict.FAILED, Fault.SENDER, Reason.MALFORMED, text=text)
    return Job(letter, sender, recipient)


def _is_malformed(data: bytes) -> bool:
    """Bare CR or LF would let a body end early on some servers (SMTP smuggling); nothing is repaired here."""
    line_ends = data.count(b"\r\n")
    return not data or data.count(b"\n") != line_ends or data.count(b"\r") != line_ends or b"\0" in data


def unfit(job: Job, features: Features) -> Outcome | None:
    """Why this server cannot take the letter, or None. Nothing is ever downgraded (RFC 6531 3.2)."""
    if job.utf8 and not (features.smtputf8 and features.eight_bit):
        text = "the server does not offer SMTPUTF8, which this address needs"
        return decided_here(Verdict.FAILED, Fault.NONE, Reason.EAI, text=text)
    if job.eight_bit and not features.eight_bit:
        text = "the message holds 8-bit octets and the server does not offer 8BITMIME"
        return decided_here(Verdict.FAILED, Fault.SENDER, Reason.MALFORMED, text=text)
    return None


def mail_command(job: Job, features: Features) -> bytes:
    """`MAIL FROM` with the parameters the server offers and the letter needs."""
    if not features.size and not job.eight_bit and not job.utf8:
        return b"MAIL FROM:<%b>\r\n" % job.sender
    parameters = b""
    if features.size:  # RFC 1870: the octets with CRLF, without dot-stuffing
        parameters += b" SIZE=%d" % len(job.letter.data)
    if job.eight_bit:
        parameters += b" BODY=8BITMIME"
    if job.utf8:
        parameters += b" SMTPUTF8"
    return b"MAIL FROM:<%b>%b\r\n" % (job.sender, parameters)


def rcpt_command(job: Job) -> bytes:
    return b"RCPT TO:<%b>\r\n" % job.recipient


def whole_lines(job: Job) -> bytes:
    """The message as BDAT carries it (RFC 3030): octet for octet, its last line ended."""
    data = job.letter.data
    return data if job.letter.canonical or data.endswith(b"\r\n") else data + b"\r\n"


def dot_stuffed(job: Job) -> bytes:
    """The message as DATA carries it, without the final dot (RFC 5321 4.5.2): leading dots are doubled.

    Our own forms have no leading dots; another's must not end the mail early.
    """
    data = whole_lines(job)
    if job.letter.canonical:
        return data
    if b"\r\n." in data:
        data = data.replace(b"\r\n.", b"\r\n..")
    return b"." + data if data.startswith(b".") else data
