"""The app behind a real server on a free loopback port."""

import socket
import threading

import uvicorn
from fastapi import FastAPI


class Serving:
    """uvicorn in a thread; `url` is where it answers."""

    def __init__(self, app: FastAPI, host: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.bound = socket.create_server((host, 0), family=family)
        self.host, self.port = host, self.bound.getsockname()[1]
        config = uvicorn.Config(app, access_log=False, log_config=None, lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self.bound]})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self.bound.close()

    def say(self, octets: bytes) -> bytes:
        """Send raw octets; all that comes back until the server closes."""
        with socket.create_connection((self.host, self.port), timeout=30) as connection:
            connection.sendall(octets)
            return b"".join(iter(lambda: connection.recv(65536), b""))
