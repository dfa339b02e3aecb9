"""DKIM signatures (RFC 6376, RFC 8301): rsa-sha256, relaxed/relaxed, over the final bytes of a mail.

The last thing that happens to a mail before the SMTP engine: nothing may change its bytes
afterwards. Every header that could change what a reader or a mail program does is
oversigned (named once more than it occurs), so that a second one added on the way breaks
the signature. No body length limit (`l=`), no expiry (`x=`). The private key is never shown.
"""

import base64
import datetime as dt
import hashlib
import re
from functools import lru_cache
from typing import NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from mailer.addresses import AddressError, a_labels

OVERSIGNED = (
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "reply-to",
    "cc",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "list-id",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "list-subscribe",
    "list-help",
    "list-owner",
    "list-archive",
    "list-post",
    "feedback-id",
    "auto-submitted",
)
SMALLEST_KEY_BITS = 2048  # RFC 8301 3.2
_SIGNATURE_LINE = 72
_FROM_DOMAIN = re.compile(rb"@([A-Za-z0-9.-]+)>?$")
_SELECTOR = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_FIELD_NAME = re.compile(rb"[!-9;-~]+")
_FIELD_END = re.compile(rb"\r\n(?![ \t])")
_OF_ONE_MAIL = (b"To:", b"Subject:", b"Message-ID:", b"Date:", b"List-Unsubscribe:")
_LONG_BLANKS = re.compile(rb"[ \t]{2,}|\t")


class NotSignable(ValueError):
    """These bytes or this key cannot be signed; the message says why and what to do."""


class _Field(NamedTuple):
    name: str
    canonical: bytes  # relaxed (RFC 6376 3.4.2), without its line end


class _Plan(NamedTuple):
    """Which fields are signed, for all mails with the same header names in the same order."""

    places: tuple[int, ...]  # of the fields, in the order of `h=`
    senders: tuple[int, ...]  # where From stands
    names: str  # `h=`, folded


class Unsigned(NamedTuple):
    """A signature header without its signature, and what has to be signed: SHA-256 of the signed text."""

    header: bytes
    digest: bytes


class Signer:
    """Signs mails of one domain with one selector. Holds no state but the key; safe between threads.

    `private_key_pem` is an unencrypted RSA key of 2048 bits or more. Raises NotSignable.
    """

    def __init__(self, domain: str, selector: str, private_key_pem: str | bytes) -> None:
        try:
            self.domain = a_labels(domain)
        except AddressError as error:
            raise NotSignable("the DKIM domain (d=) is no domain name: name the domain of From") from error
        if not _SELECTOR.fullmatch(selector):
            raise NotSignable("a DKIM selector is a lower-case DNS label such as 'm2026a'")
        self.selector = selector
        self._key = _load(private_key_pem)
        self._fixed = f"v=1; a=rsa-sha256; c=relaxed/relaxed; d={self.domain};\r\n s={selector}; "

    def __repr__(self) -> str:
        return f"Signer(domain={self.domain!r}, selector={self.selector!r})"

    @property
    def dns_name(self) -> str:
        """Where the public key has to stand in DNS."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def dns_record(self) -> str:
        """The TXT record that has to stand there."""
        public = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode('ascii')}"

    def sign(self, data: bytes, *, signed_at: dt.datetime, canonical: bool = False) -> bytes:
        """The same bytes with a DKIM-Signature before them; `signed_at` becomes `t=`.

        `canonical` is the composer's word that every line ends with CRLF: it is then not looked through.

        Raises NotSignable for bytes that are not final (a bare CR or LF), have no single From,
        or whose From domain is neither the signing domain nor below it (DMARC would fail).
        """
        unsigned = self.prepare(data, signed_at=signed_at, canonical=canonical)
        return self.finish(data, unsigned, self.signature(unsigned.digest))

    def prepare(self, data: bytes, *, signed_at: dt.datetime, canonical: bool = False) -> Unsigned:
        """The first half of `sign`: all but the signature itself, which may then be made elsewhere."""
        if signed_at.utcoffset() is None:
            raise NotSignable("the time of signing needs a zone")
        fields, body = _taken_apart(data, canonical=canonical)
        plan = _plan(tuple([field.name for field in fields]))
        self._check_from([fields[place].canonical for place in plan.senders])
        header, relaxed = _signature_head(self._fixed, int(signed_at.timestamp()), plan.names)
        body_hash = base64.b64encode(hashlib.sha256(relaxed_body(body)).digest())
        chosen = [fields[place].canonical for place in plan.places]
        signed_text = b"\r\n".join([*chosen, relaxed + body_hash + b"; b="])
        return Unsigned(header + body_hash + b";\r\n b=", hashlib.sha256(signed_text).digest())

    def signature(self, digest: bytes) -> bytes:
        """The RSA signature of a digest: nearly all of what signing costs."""
        return self._key.sign(digest, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))

    def finish(self, data: bytes, unsigned: Unsigned, signature: bytes) -> bytes:
        """The second half of `sign`: the bytes that `prepare` was given, with their signature before them."""
        return b"".join((unsigned.header, _folded_signature(signature), b"\r\n", data))

    @property
    def signature_octets(self) -> int:
        """How long each signature is."""
        return (self._key.key_size + 7) // 8

    def private_key(self) -> bytes:
        """The key itself (PKCS #8, DER), for a process that signs in this one's stead; never for a file."""
        return self._key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    def _check_from(self, senders: list[bytes]) -> None:
        if len(senders) != 1:
            raise NotSignable(f"a mail has exactly one From header to be signed, this one has {len(senders)}")
        sender_domain = _domain_of(senders[0])
        if sender_domain != self.domain and not sender_domain.endswith(f".{self.domain}"):
            raise NotSignable(
                f"From is not at the signing domain {self.domain}: sign with a key of the From domain, "
                "or the signature is worthless to DMARC"
            )


@lru_cache(maxsize=64)  # the organisation's own addresses
def _domain_of(sender: bytes) -> str:
    found = _FROM_DOMAIN.search(sender)
    return found.group(1).decode("ascii").lower() if found else ""


@lru_cache(maxsize=64)
def _signature_head(fixed: str, moment: int, names: str) -> tuple[bytes, bytes]:
    """The signature header up to its body hash, as it is written and in relaxed form."""
    head = f"DKIM-Signature: {fixed}t={moment};\r\n{names};\r\n bh=".encode("ascii")
    return head, _relaxed_field(head).canonical


def _relaxed(raw: bytes) -> _Field:
    """One header field in relaxed form; what all mails of a mailing share is kept, a person's never."""
    return _relaxed_field(raw) if raw.startswith(_OF_ONE_MAIL) else _kept_field(raw)


def _relaxed_field(raw: bytes) -> _Field:
    """One header field (without its final line end) in relaxed form, RFC 6376 3.4.2."""
    name, colon, value = raw.partition(b":")
    name = name.rstrip(b" \t")
    if not colon or not _FIELD_NAME.fullmatch(name):
        raise NotSignable("a line of the header is no header field: sign only finished mails")
    unfolded = value.replace(b"\r\n", b"")
    lowered = name.lower()
    text = _LONG_BLANKS.sub(b" ", unfolded).strip(b" ")
    return _Field(name=lowered.decode("ascii"), canonical=lowered + b":" + text)


_kept_field = lru_cache(maxsize=256)(_relaxed_field)


def relaxed_body(body: bytes) -> bytes:
    """The body in relaxed form, RFC 6376 3.4.4: blanks reduced, empty lines at the end dropped."""
    # Our own bodies hardly hold any of this: three searches are a hundred times cheaper than the work.
    if b"\t" in body or b"  " in body or b" \r\n" in body:
        body = _LONG_BLANKS.sub(b" ", body).replace(b" \r\n", b"\r\n")
    end = len(body)
    while body.endswith(b"\r\n", 0, end):
        end -= 2
    return body[: end + 2] if end else b""


def _ends_every_line(data: bytes) -> bool:
    return data.count(b"\r") == data.count(b"\n") == data.count(b"\r\n") and data.endswith(b"\r\n")


def _taken_apart(data: bytes, *, canonical: bool = False) -> tuple[list[_Field], bytes]:
    if not canonical and not _ends_every_line(data):
        raise NotSignable("a line ends without CR LF: sign the final bytes, as they go to the server")
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator:
        raise NotSignable("there is no empty line between header and body: sign only finished mails")
    return [_relaxed(raw) for raw in _FIELD_END.split(head)], body


@lru_cache(maxsize=64)
def _plan(present: tuple[str, ...]) -> _Plan:
    """What is signed of a mail with these headers: of equal names the last one first (RFC 6376 5.4.2)."""
    left: dict[str, list[int]] = {}
    for place, name in enumerate(present):
        left.setdefault(name, []).append(place)
    senders = tuple(left.get("from", ()))
    names = tuple(name for name in OVERSIGNED for _ in range(present.count(name) + 1))
    places = tuple(left[name].pop() for name in names if left.get(name))
    return _Plan(places, senders, _folded_names(names))


def _folded_names(names: tuple[str, ...]) -> str:
    lines, line = [], f" h={names[0]}"
    for name in names[1:]:
        if len(line) + len(name) + 1 > _SIGNATURE_LINE:
            lines.append(f"{line}:")
            line = f"  {name}"
        else:
            line = f"{line}:{name}"
    return "\r\n".join([*lines, line])


def _folded_signature(signature: bytes) -> bytes:
    text = base64.b64encode(signature)
    pieces = [text[at : at + _SIGNATURE_LINE] for at in range(0, len(text), _SIGNATURE_LINE)]
    return b"\r\n ".join(pieces)


def _load(private_key_pem: str | bytes) -> rsa.RSAPrivateKey:
    pem = private_key_pem.encode("ascii", "replace") if isinstance(private_key_pem, str) else private_key_pem
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        # The cause is left out on purpose: its text may quote the key.
        raise NotSignable(
            "the DKIM key cannot be read: give an unencrypted RSA private key in PEM form"
        ) from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise NotSignable("the DKIM key is no RSA key; large receivers verify nothing else")
    if key.key_size < SMALLEST_KEY_BITS:
        raise NotSignable(f"the DKIM key has {key.key_size} bits; it needs {SMALLEST_KEY_BITS} or more")
    return key
