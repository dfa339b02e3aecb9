"""Ports on loopback: a free one, and waiting until something listens there."""

import socket
import time

PATIENCE = 10.0  # seconds until a server that does not listen is given up


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    """Return when something listens there; raises TimeoutError when nothing ever does."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > end:
                raise TimeoutError(f"nothing listens on port {port} of loopback") from None
            time.sleep(0.02)
        else:
            return
