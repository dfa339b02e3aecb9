"""A signing process: RSA signatures of digests, outside the sender's interpreter and its lock.

A script of its own that imports nothing of mailer and holds no connection, only the key.
Standard input brings the key, its length in four octets before it, and then digests; standard
output has READY once and then the signature of each digest, in their order. It ends with its
standard input, so it outlives no sender, however that one dies.
"""

import contextlib
import os
import signal

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils
from cryptography.hazmat.primitives.serialization import load_der_private_key

READY = b"+"
DIGEST = 32  # octets of SHA-256
TOGETHER = 16  # digests that are asked and answered at once: no more octets than a pipe takes in one piece
NICENESS = 5  # the sender's own threads, and the database, have their turn before a signature
_IN, _OUT = 0, 1


def _exactly(count: int) -> bytes:
    """So many octets of standard input; raises EOFError where it ends."""
    found = b""
    while len(found) < count:
        more = os.read(_IN, count - len(found))
        if not more:
            raise EOFError
        found += more
    return found


def _key() -> rsa.RSAPrivateKey:
    key = load_der_private_key(_exactly(int.from_bytes(_exactly(4), "big")), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("no RSA key")
    return key


def _serve() -> None:
    key, scheme, hashed = _key(), padding.PKCS1v15(), utils.Prehashed(hashes.SHA256())
    os.write(_OUT, READY)
    while digests := os.read(_IN, TOGETHER * DIGEST):
        digests += _exactly(-len(digests) % DIGEST)
        pieces = (digests[at : at + DIGEST] for at in range(0, len(digests), DIGEST))
        os.write(_OUT, b"".join([key.sign(digest, scheme, hashed) for digest in pieces]))


def main() -> None:
    # A terminal or a service manager may signal all at once, but the sender still finishes what it has.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):  # a sandbox may forbid it
        os.nice(NICENESS)
    try:
        _serve()
    except (EOFError, BrokenPipeError):  # the sender is gone
        return


if __name__ == "__main__":
    main()
