"""TLS towards a host found by DNS: the context to shake hands with, and the look at what came of it.

Whether a host is good enough is decided here, in one place, after the handshake and
before the first letter. No policy is ever lowered: a host that cannot prove itself is
left, and its mail waits.
"""

import ssl
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from mailer.smtp import dane
from mailer.smtp.hosts import Host, TlsPolicy

_DER = 2  # _ssl.ENCODING_DER, for Python before 3.13


@lru_cache(maxsize=16)
def context_for(policy: TlsPolicy, *, ca: Path | None = None) -> ssl.SSLContext:
    """The context for a handshake with `server_hostname=host.name`; TLS 1.2 at least.

    Only VERIFIED checks certificate and name here (`ca`: a private authority instead of the
    system's). DANE is checked by `is_proven`, since OpenSSL must not ask the public authorities.
    """
    if policy is TlsPolicy.VERIFIED:
        context = ssl.create_default_context(cafile=str(ca) if ca else None)
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def is_proven(host: Host, secured: ssl.SSLObject | ssl.SSLSocket | None, *, now: datetime) -> bool:
    """Whether letters may go to this host over this connection.

    `secured` is the transport's "ssl_object" after the handshake, None in clear text; `now` is
    aware. False means: close, no letter was offered, Phase.TLS and Reason.NO_TLS.
    """
    if secured is None:
        return host.tls is TlsPolicy.OPPORTUNISTIC
    if host.tls is TlsPolicy.VERIFIED:
        return secured.context.verify_mode is ssl.CERT_REQUIRED and secured.context.check_hostname
    if host.tls is TlsPolicy.DANE:
        return dane.verify(host.tlsa, chain_of(secured), host.names or (host.name,), now=now)
    return True


def chain_of(secured: ssl.SSLObject | ssl.SSLSocket) -> list[bytes]:
    """The certificates the server presented, as DER, its own first; empty before the handshake."""
    ask: Any = getattr(secured, "get_unverified_chain", None)
    if ask is not None:  # Python 3.13
        return list(ask())
    inner: Any = secured._sslobj  # type: ignore[union-attr]
    presented = inner.get_unverified_chain() if inner is not None else None
    return [certificate.public_bytes(_DER) for certificate in presented or ()]
