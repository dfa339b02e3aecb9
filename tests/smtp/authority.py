"""Certificates for tests: authorities, servers below them, and a TLS server on 127.0.0.1 to present them."""

import contextlib
import datetime
import hashlib
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from mailer.smtp.dane import TlsaRecord

NOW = datetime.datetime.now(datetime.UTC)
LONG_AGO = NOW - datetime.timedelta(days=400)


@dataclass(frozen=True)
class Issued:
    """A certificate with its key; `above` are the certificates up to the root."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    above: tuple["Issued", ...] = field(default=())

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def chain(self) -> list[bytes]:
        return [self.der, *(issued.der for issued in self.above)]

    def tlsa(self, usage: int, selector: int, matching: int) -> TlsaRecord:
        data = self.der
        if selector == 1:
            data = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if matching:
            data = (hashlib.sha256 if matching == 1 else hashlib.sha512)(data).digest()
        return TlsaRecord(usage, selector, matching, data)


def issue(
    label: str,
    by: Issued | None = None,
    *,
    names: Sequence[str] = (),
    authority: bool | None = None,
    may_sign: bool | None = None,
    start: datetime.datetime = NOW - datetime.timedelta(days=1),
) -> Issued:
    """A certificate valid for 30 days from `start`; without extensions nobody asked for."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, label)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=30))
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
    if authority is not None:
        builder = builder.add_extension(x509.BasicConstraints(authority, None), critical=True)
    if may_sign is not None:
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=may_sign,
            crl_sign=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = builder.add_extension(usage, critical=True)
    certificate = builder.sign(by.key if by else key, hashes.SHA256())
    return Issued(certificate, key, (by, *by.above) if by else ())


@contextlib.contextmanager
def tls_server(issued: Issued) -> Iterator[int]:
    """Presents the certificate and all above it to whoever connects; gives the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "server.pem"
        private = issued.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        chain = (issued, *issued.above)
        file.write_bytes(private + b"".join(each.certificate.public_bytes(Encoding.PEM) for each in chain))
        context.load_cert_chain(file)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_serve, args=(listening, context), daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def _serve(listening: socket.socket, context: ssl.SSLContext) -> None:
    with contextlib.suppress(OSError):
        while True:
            plain, _ = listening.accept()
            plain.settimeout(5)
            with plain, contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as secured:
                secured.recv(1)  # until the client has looked and closed
