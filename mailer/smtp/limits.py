"""How long each wait of an SMTP conversation may last (RFC 5321 4.5.3.2).

There is no wait in this room without a limit from here. A wait that reaches
its limit ends its connection: nobody may guess what a late reply belonged to.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Seconds per phase; the defaults are the RFC's, or stricter where it allows.

    `dot` is the wait for the reply to the final dot. It must stay at 600 in
    production: giving up earlier makes doubt out of mails that were accepted.
    `block` is the wait until the peer has taken one block of a large body.
    `reuse` is the age beyond which a connection starts no new transaction,
    `idle` the time it may wait unused for the next call.
    """

    connect: float = 30.0
    tls: float = 60.0
    greeting: float = 300.0
    ehlo: float = 300.0
    auth: float = 300.0
    mail: float = 300.0
    rcpt: float = 300.0
    data: float = 120.0
    block: float = 180.0
    dot: float = 600.0
    reset: float = 20.0
    quit: float = 20.0
    reuse: float = 300.0
    idle: float = 60.0

    def shortest(self) -> float:
        """The shortest of the limits a conversation watches, in seconds."""
        return min(self.mail, self.rcpt, self.data, self.block, self.dot, self.reset, self.quit, self.idle)
