"""DANE for SMTP (RFC 7672): whether a server's certificates are those its DNS zone names.

Pure. The records come from a validating resolver, the certificates from a handshake that
has ended; this module compares them. What cannot be parsed matches nothing: no input may
raise, and none may turn a mismatch into a match.
"""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

MAX_CHAIN = 10  # certificates looked at of what a server presents
_DIGESTS = {1: 32, 2: 64}  # octets of SHA-256 and SHA-512


class Usage(IntEnum):
    """What a record names. 0 and 1 (PKIX) are undefined for SMTP (RFC 7672 3.1.3)."""

    TRUST_ANCHOR = 2
    END_ENTITY = 3


@dataclass(frozen=True, slots=True)
class TlsaRecord:
    """One TLSA record (RFC 6698 2.1), as it came; `is_usable` says whether it can be met."""

    usage: int
    selector: int  # 0: the whole certificate, 1: its public key
    matching: int  # 0: the data itself, 1: its SHA-256, 2: its SHA-512
    data: bytes

    @property
    def is_usable(self) -> bool:
        """Whether a client may rely on it. A host with unusable ones only gets encryption, unverified."""
        if self.usage not in tuple(Usage) or self.selector not in (0, 1):
            return False
        if self.matching == 0:
            return _is_der(self.data, certificate=self.selector == 0)
        return len(self.data) == _DIGESTS.get(self.matching, -1)


def usable(records: Iterable[TlsaRecord]) -> tuple[TlsaRecord, ...]:
    """Those records that a server can be checked against."""
    return tuple(record for record in records if record.is_usable)


def verify(
    records: Iterable[TlsaRecord], chain: Sequence[bytes], names: Sequence[str], *, now: datetime
) -> bool:
    """Whether the presented certificates (DER, the server's own first) meet one usable record.

    DANE-EE asks only for the certificate or key itself: neither name nor dates count (RFC 7672
    3.1.1). DANE-TA asks for a valid path to a named authority, at `now` (aware, UTC), with one of
    `names` in the server's certificate (3.1.2, 3.2.3).
    """
    certificates = _load(chain[:MAX_CHAIN])
    if not certificates:
        return False
    records = usable(records)
    return any(
        record.usage == Usage.END_ENTITY and _matches(record, certificates[0]) for record in records
    ) or any(
        _is_issued_below(anchor, certificates, names, now)
        for record in records
        if record.usage == Usage.TRUST_ANCHOR
        for anchor in _anchors(record, certificates)
    )


def _anchors(record: TlsaRecord, certificates: Sequence[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    """The authorities a record names: among those presented, or the record's own whole certificate."""
    presented = tuple(certificate for certificate in certificates[1:] if _matches(record, certificate))
    if not presented and (record.selector, record.matching) == (0, 0):
        return _load([record.data])
    return presented


def _matches(record: TlsaRecord, certificate: x509.Certificate) -> bool:
    if record.selector == 0:
        selected = certificate.public_bytes(Encoding.DER)
    else:
        try:
            key = certificate.public_key()
        except Exception:  # a kind of key or curve that the library does not know
            return False
        selected = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if record.matching:
        algorithm = "sha256" if record.matching == 1 else "sha512"
        selected = hashlib.new(algorithm, selected).digest()
    return hmac.compare_digest(selected, record.data)


def _is_issued_below(
    anchor: x509.Certificate, certificates: Sequence[x509.Certificate], names: Sequence[str], now: datetime
) -> bool:
    builder = PolicyBuilder().store(Store([anchor])).time(now.replace(tzinfo=None))
    # Authorities of one's own rarely follow the rules for browsers; DNSSEC has vouched for this one.
    authority = (
        ExtensionPolicy.permit_all()
        .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
        .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _may_sign)
    )
    server = ExtensionPolicy.permit_all().require_present(
        x509.SubjectAlternativeName, Criticality.AGNOSTIC, None
    )
    builder = builder.extension_policies(ca_policy=authority, ee_policy=server)
    for name in names:
        try:
            builder.build_server_verifier(x509.DNSName(name)).verify(certificates[0], list(certificates[1:]))
        except (VerificationError, ValueError):
            continue
        return True
    return False


def _may_sign(_: Policy, __: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("an authority whose key may not sign certificates")


def _load(chain: Sequence[bytes]) -> tuple[x509.Certificate, ...]:
    """The certificates up to the first that cannot be read."""
    certificates = []
    for der in chain:
        try:
            certificates.append(x509.load_der_x509_certificate(der))
        except ValueError:
            break
    return tuple(certificates)


def _is_der(data: bytes, *, certificate: bool) -> bool:
    try:
        if certificate:
            x509.load_der_x509_certificate(data)
        else:
            load_der_public_key(data)
    except Exception:  # the library has several errors for keys of an unknown kind
        return False
    return True
