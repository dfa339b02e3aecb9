"""docker-compose.yml and the Dockerfile: they parse, every process is confined, every name in them exists."""

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from mailer.settings import PREFIX, SECRETS, Settings
from mailer.wake import Queue

ROOT = Path(__file__).resolve().parent.parent
COMPOSE = ROOT / "docker-compose.yml"
OWN_IMAGE = re.compile(r"^mailer:")
LONGEST_WAIT = 600  # seconds from a final dot to its reply, RFC 5321 4.5.3.2.6

# The part of the Compose specification that is used here. What it does not name is a slip of the pen.
SERVICE: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["image", "command", "networks", "mem_limit", "cpus", "pids_limit", "restart"],
    "properties": {
        "build": {"type": "string"},
        "cap_drop": {"const": ["ALL"]},
        "command": {"$ref": "#/$defs/words"},
        "cpus": {"type": "number", "exclusiveMinimum": 0, "maximum": 4},
        "depends_on": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "required": ["condition"],
                "properties": {"condition": {"enum": ["service_healthy", "service_completed_successfully"]}},
            },
        },
        "environment": {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
        "healthcheck": {
            "type": "object",
            "additionalProperties": False,
            "required": ["test", "interval", "timeout", "retries", "start_period"],
            "properties": {
                "test": {"$ref": "#/$defs/words"},
                "interval": {"$ref": "#/$defs/duration"},
                "timeout": {"$ref": "#/$defs/duration"},
                "retries": {"type": "integer", "minimum": 1},
                "start_period": {"$ref": "#/$defs/duration"},
            },
        },
        "image": {"type": "string", "pattern": r"^[a-z]+:[a-z0-9.-]+$"},
        "init": {"const": True},
        "logging": {
            "type": "object",
            "required": ["driver", "options"],
            "properties": {"options": {"type": "object", "additionalProperties": {"type": "string"}}},
        },
        "mem_limit": {"type": "string", "pattern": r"^\d+[mg]$"},
        "networks": {"$ref": "#/$defs/words"},
        "pids_limit": {"type": "integer", "minimum": 1},
        "ports": {"$ref": "#/$defs/words"},
        "read_only": {"const": True},
        "restart": {"type": "string", "pattern": r"^(unless-stopped|on-failure:\d+)$"},
        "secrets": {"$ref": "#/$defs/words"},
        "security_opt": {"const": ["no-new-privileges:true"]},
        "shm_size": {"type": "string"},
        "stop_grace_period": {"$ref": "#/$defs/duration"},
        "tmpfs": {"$ref": "#/$defs/words"},
        "user": {"type": "string"},
        "volumes": {"$ref": "#/$defs/words"},
    },
}
SCHEMA: dict[str, Any] = {
    "$defs": {
        "words": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "duration": {"type": "string", "pattern": r"^\d+s$"},
    },
    "type": "object",
    "additionalProperties": False,
    "patternProperties": {"^x-": {}},
    "required": ["services", "networks", "volumes", "secrets"],
    "properties": {
        "services": {"type": "object", "additionalProperties": SERVICE},
        "networks": {"type": "object"},
        "volumes": {"type": "object"},
        "secrets": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "required": ["file"],
                "properties": {"file": {"type": "string", "pattern": r"^\./secrets/"}},
            },
        },
    },
}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def own(compose: dict[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in compose["services"].items() if OWN_IMAGE.match(one["image"])}


def test_the_file_uses_only_what_the_specification_knows(compose: dict[str, Any]) -> None:
    found = Draft202012Validator(SCHEMA).iter_errors(compose)
    problems = [f"{error.json_path}: {error.message}" for error in found]
    assert problems == []


def test_docker_itself_reads_the_file() -> None:
    client = _client()
    if client is None:
        pytest.skip("no docker client with compose is here; the schema above was checked")
    command = [*client, "--env-file", ".env.example", "--file", COMPOSE.name, "config"]
    variables = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    run = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert set(yaml.safe_load(run.stdout)["services"]) == set(_services())


def _client() -> list[str] | None:
    for client in (["docker", "compose"], ["docker-compose"]):
        if (
            shutil.which(client[0])
            and subprocess.run([*client, "version"], capture_output=True).returncode == 0
        ):
            return client
    return None


def _services() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]


def test_the_whole_house_is_there(compose: dict[str, Any], own: dict[str, Any]) -> None:
    assert set(own) == {"migrate", "web", "worker-send", "worker-plan", "beat", "inbound"}
    assert set(compose["services"]) - set(own) == {"db", "redis"}


def test_every_queue_has_a_consumer(own: dict[str, Any]) -> None:
    consumed = [queue for one in own.values() for queue in _queues(one["command"])]
    assert sorted(consumed) == sorted(queue.value for queue in Queue)


def _queues(command: list[str]) -> list[str]:
    return command[command.index("--queues") + 1].split(",") if "--queues" in command else []


def test_who_sweeps_sees_the_journals_of_who_sends(own: dict[str, Any]) -> None:
    sending = [one for one in own.values() if Queue.SEND.value in _queues(one["command"])]
    sweeping = [one for one in own.values() if Queue.SWEEP.value in _queues(one["command"])]
    assert sending
    assert sweeping
    assert {volume for one in [*sending, *sweeping] for volume in one["volumes"]} == {
        "journals:/data/journals"
    }


def test_every_command_exists(own: dict[str, Any]) -> None:
    from typer.main import get_command

    from workers.console import app

    known: Any = get_command(app)
    for one in own.values():
        for words in (
            one["command"],
            one.get("healthcheck", {}).get("test", ["CMD", "mailer", "migrate"])[1:],
        ):
            assert words[0] == "mailer"
            command = known.commands[words[1]]
            options = {option for parameter in command.params for option in parameter.opts}
            assert {word for word in words[2:] if word.startswith("--")} <= options


def test_every_process_of_ours_is_confined(compose: dict[str, Any], own: dict[str, Any]) -> None:
    for name, one in compose["services"].items():
        assert one["read_only"] is True, name
        assert one["cap_drop"] == ["ALL"], name
        assert one["security_opt"] == ["no-new-privileges:true"], name
        assert one["user"].split(":")[0] not in {"root", "0"}, name
    for name, one in own.items():
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", one["user"]), name
        assert any(mount.startswith("/tmp") for mount in one["tmpfs"]), name


def test_every_lasting_process_is_watched_and_comes_back(
    compose: dict[str, Any], own: dict[str, Any]
) -> None:
    for name, one in compose["services"].items():
        if name == "migrate":
            assert one["restart"].startswith("on-failure")
            continue
        assert one["restart"] == "unless-stopped", name
        assert one["healthcheck"]["test"][0] == "CMD", name
        if name in own:
            assert one["healthcheck"]["test"] == ["CMD", "mailer", "health", name]


def test_a_process_starts_only_on_a_ready_database(own: dict[str, Any]) -> None:
    for name, one in own.items():
        assert one["depends_on"]["db"] == {"condition": "service_healthy"}, name
        if name != "migrate":
            assert one["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}, name


def test_a_sender_may_wait_for_the_last_reply(own: dict[str, Any]) -> None:
    assert int(own["worker-send"]["stop_grace_period"].removesuffix("s")) >= LONGEST_WAIT + 60


def test_the_database_keeps_what_it_promised(compose: dict[str, Any]) -> None:
    command = compose["services"]["db"]["command"]
    assert {"fsync=on", "full_page_writes=on", "synchronous_commit=on"} <= set(command)
    assert any(volume.startswith("database:") for volume in compose["services"]["db"]["volumes"])


def test_database_and_broker_are_reached_from_inside_only(compose: dict[str, Any]) -> None:
    assert compose["networks"]["inside"] == {"internal": True}
    for name in ("db", "redis"):
        assert compose["services"][name]["networks"] == ["inside"]
        assert "ports" not in compose["services"][name]
    assert all(port.startswith("127.0.0.1:") for port in compose["services"]["web"]["ports"])


def test_only_the_sender_knows_the_relay(own: dict[str, Any]) -> None:
    assert [name for name, one in own.items() if "smtp_url" in one["secrets"]] == ["worker-send"]


def test_secrets_are_files_and_never_values(compose: dict[str, Any], own: dict[str, Any]) -> None:
    for one in own.values():
        assert set(one["secrets"]) <= set(compose["secrets"])
        values = {name for name in one["environment"] if name.startswith(PREFIX)}
        assert not values & {f"{PREFIX}{secret.upper()}" for secret in SECRETS if secret != "broker_url"}
        for variable in (name for name in values if name.endswith("_FILE")):
            assert one["environment"][variable].removeprefix("/run/secrets/") in one["secrets"]
    assert "POSTGRES_PASSWORD" not in compose["services"]["db"]["environment"]


@pytest.mark.parametrize("file", ["docker-compose.yml", ".env.example", "Dockerfile"])
def test_every_variable_is_a_setting(file: str) -> None:
    fields = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    known = fields | {f"{PREFIX}{name.upper()}_FILE" for name in SECRETS}
    named = set(re.findall(rf"\b{PREFIX}[A-Z][A-Z_]*\b", (ROOT / file).read_text(encoding="utf-8")))
    assert named
    assert named - known == set()


def test_the_example_gives_every_value_that_compose_asks_for() -> None:
    asked = set(re.findall(r"\$\{(\w+)", COMPOSE.read_text(encoding="utf-8")))
    given = set(re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.M))
    assert given == asked


def test_the_example_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    from mailer.settings import load

    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    for line in (ROOT / ".env.example").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            monkeypatch.setenv(*line.split("=", 1))
    assert load().base_url == "https://mailer.example.org"


def test_the_image_is_of_this_version_and_not_root(own: dict[str, Any]) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert {one["image"] for one in own.values()} == {f"mailer:{version}"}
    users = re.findall(r"^USER (\S+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.M)
    assert users == ["10001:10001"]
    assert {one["user"] for one in own.values()} == set(users)


def test_the_image_is_made_of_locked_packages_and_listed_files() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "--require-hashes --no-deps --only-binary :all: -r requirements.lock" in text
    copied = {name for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.M) for name in line.split()}
    allowed = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.M))
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)
    for base in re.findall(r"^(?:FROM|ARG PYTHON_IMAGE=)\s*(\S+)", text, re.M):
        assert base == "${PYTHON_IMAGE}" or re.fullmatch(r"python:3\.\d+(\.\d+)?-slim-\w+", base)
    assert json.loads(re.findall(r"^CMD (.+)$", text, re.M)[0])[0] == "mailer"
