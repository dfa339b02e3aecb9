"""What docker-compose.yml runs, so that a drill starts the same commands as an installation does."""

import socket
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]


def commands() -> dict[str, list[str]]:
    """What docker-compose.yml runs in each container of ours, by service."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return {
        name: [str(word) for word in service["command"]]
        for name, service in services.items()
        if service.get("command") and service["command"][0] == "mailer"
    }


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
