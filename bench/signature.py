"""What one DKIM signature costs here: RSA-2048, alone, and on all cores at once.

The corridor with a key is held against this: no sender can be faster than its
signatures allow.
"""

import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

BITS = 2048
SIGNATURES = 1_000
SELECTOR = "bench"


@dataclass(frozen=True, kw_only=True)
class SignatureCost:
    """CPU seconds of one signature: one core signing alone, and all of them, by their number."""

    alone: float
    all_cores: float
    cores: int

    def allowed(self, plain_rate: float) -> float:
        """The rate that is left of `plain_rate` when each mail also waits for its share of signing.

        The signatures are spread over all cores, and nothing else gets faster or slower.
        """
        return 1 / (1 / plain_rate + self.all_cores)


def write_key(path: Path) -> Path:
    """Make an RSA key of 2048 bits for the run."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=BITS)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    path.chmod(0o600)
    return path


def cost(key_file: Path) -> SignatureCost:
    """Measure with the key that the run will use."""
    cores = os.cpu_count() or 1
    alone = _sign_many(key_file, SIGNATURES) / SIGNATURES
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        list(pool.map(_sign_many, [key_file] * cores, [1] * cores))  # the processes are up
        together = sum(pool.map(_sign_many, [key_file] * cores, [SIGNATURES] * cores)) / (cores * SIGNATURES)
    return SignatureCost(alone=alone, all_cores=together / cores, cores=cores)


def _sign_many(key_file: Path, count: int) -> float:
    key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("the key of the bench is an RSA key")
    scheme, digest = padding.PKCS1v15(), hashes.SHA256()
    started = time.thread_time()
    for _ in range(count):
        key.sign(b"a header of some hundred octets " * 32, scheme, digest)
    return time.thread_time() - started
