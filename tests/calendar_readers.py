"""Other programs that read calendars: libical with its restriction check, ical.js, and the icalendar package.

None of them is ours. What is missing is said: libical is a package of the system and must be there where
CI is true; ical.js comes from npm into a temporary folder, and where there is no node or no registry
answers, its tests are skipped with that reason, because `make test` may not depend on a registry.
"""

import base64
import ctypes
import ctypes.util
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import icalendar
import pytest

ICAL_JS = "2.2.1"
_SCRIPT = """
import ICAL from 'ical.js';
import readline from 'node:readline';
ICAL.design.strict = true;
const said = (time) => time === null ? null : (time.isDate ? time.toString() : time.toJSDate().toISOString());
function read(octets) {
  const text = Buffer.from(octets, 'base64').toString('utf8');
  const calendar = new ICAL.Component(ICAL.parse(text));
  const events = calendar.getAllSubcomponents('vevent').map((one) => {
    const event = new ICAL.Event(one);
    return {
      uid: event.uid, summary: event.summary, description: event.description, location: event.location,
      starts: said(event.startDate), ends: said(event.endDate), sequence: event.sequence,
      status: one.getFirstPropertyValue('status'), stamp: said(one.getFirstPropertyValue('dtstamp')),
      organizer: event.organizer, attendees: event.attendees.map((who) => who.getFirstValue()),
      url: one.getFirstPropertyValue('url'),
    };
  });
  const first = (name) => calendar.getFirstPropertyValue(name);
  return {method: first('method'), name: first('name'), events};
}
readline.createInterface({input: process.stdin}).on('line', (line) => {
  let answer;
  try { answer = read(line); } catch (problem) { answer = {problem: String(problem)}; }
  process.stdout.write(JSON.stringify(answer) + '\\n');
});
"""


@dataclass(frozen=True, kw_only=True)
class ReadEvent:
    """One event as another program understands it; `starts` and `ends` are instants or days."""

    uid: str
    summary: str
    description: str | None
    location: str | None
    starts: datetime | date
    ends: datetime | date
    stamp: datetime
    sequence: int
    status: str
    organizer: str
    attendees: tuple[str, ...]
    url: str | None


@dataclass(frozen=True, kw_only=True)
class ReadCalendar:
    method: str
    name: str | None
    events: tuple[ReadEvent, ...]


def by_icalendar(octets: bytes) -> ReadCalendar:
    """As the Python package icalendar reads it."""
    found = icalendar.Calendar.from_ical(octets)
    return ReadCalendar(
        method=str(found["METHOD"]),
        name=str(found["NAME"]) if "NAME" in found else None,
        events=tuple(_event(one) for one in found.walk("VEVENT")),
    )


def _event(one: Any) -> ReadEvent:
    assert not one.errors, one.errors
    attendees = one.get("ATTENDEE", [])
    return ReadEvent(
        uid=str(one["UID"]),
        summary=str(one["SUMMARY"]),
        description=_text(one.get("DESCRIPTION")),
        location=_text(one.get("LOCATION")),
        starts=one["DTSTART"].dt,
        ends=one["DTEND"].dt,
        stamp=one["DTSTAMP"].dt,
        sequence=int(one["SEQUENCE"]),
        status=str(one["STATUS"]),
        organizer=str(one["ORGANIZER"]),
        attendees=tuple(map(str, attendees if isinstance(attendees, list) else [attendees])),
        url=_text(one.get("URL")),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


class IcalJs:
    """ical.js in one node process that answers a line of JSON for a line of base64."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def read(self, octets: bytes) -> ReadCalendar:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(base64.b64encode(octets).decode("ascii") + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert "problem" not in answer, answer["problem"]
        events = tuple(self._event(one) for one in answer["events"])
        return ReadCalendar(method=answer["method"], name=answer["name"], events=events)

    @staticmethod
    def _event(one: dict[str, Any]) -> ReadEvent:
        times = {name: _moment(one[name]) for name in ("starts", "ends", "stamp")}
        return ReadEvent(**(one | times | {"attendees": tuple(one["attendees"])}))


def _moment(said: str) -> datetime | date:
    return datetime.fromisoformat(said) if "T" in said else date.fromisoformat(said)


@contextmanager
def open_ical_js(folder: Path) -> Iterator[IcalJs]:
    """Puts ical.js into an empty folder and starts it; where that fails the test is skipped and says why."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("ical.js needs node and npm, which are not here (Debian: apt-get install nodejs npm)")
    _install(npm, folder)
    script = folder / "read.mjs"
    script.write_text(_SCRIPT, encoding="utf-8")
    with subprocess.Popen(
        [node, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        yield IcalJs(process)
        assert process.stdin is not None
        process.stdin.close()


def _install(npm: str, folder: Path) -> None:
    (folder / "package.json").write_text('{"private": true, "type": "module"}', encoding="utf-8")
    options = [
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--no-save",
        "--prefer-offline",
        "--fetch-retries=0",
    ]
    done = subprocess.run(
        [npm, "install", *options, "--fetch-retries=0", f"ical.js@{ICAL_JS}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = next((line for line in done.stderr.splitlines() if line.strip()), "npm gave no reason")
        pytest.skip(f"ical.js {ICAL_JS} could not be fetched from npm's registry: {said.strip()[:200]}")


class Libical:
    """The C library that most calendar programs of the free world stand on; it knows RFC 5546's tables."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.icalparser_parse_string.restype = ctypes.c_void_p
        library.icalparser_parse_string.argtypes = [ctypes.c_char_p]
        library.icalcomponent_as_ical_string.restype = ctypes.c_char_p
        for name in (
            "icalrestriction_check",
            "icalcomponent_count_errors",
            "icalcomponent_free",
            "icalcomponent_as_ical_string",
        ):
            getattr(library, name).argtypes = [ctypes.c_void_p]

    def complaints(self, octets: bytes) -> list[str]:
        """What breaks a rule of the method's table or of the grammar; empty for a good calendar."""
        parsed = self._library.icalparser_parse_string(octets)
        if not parsed:
            return ["not a calendar"]
        try:
            allowed = self._library.icalrestriction_check(parsed) == 1
            errors = self._library.icalcomponent_count_errors(parsed)
            if allowed and errors == 0:
                return []
            lines = self._library.icalcomponent_as_ical_string(parsed).decode("utf-8", "replace").splitlines()
        finally:
            self._library.icalcomponent_free(parsed)
        named = [line for line in lines if line.startswith("X-LIC-ERROR")]
        return named or [f"restriction kept: {allowed}, errors: {errors}"]


def open_libical() -> Libical:
    """The system's libical. Where CI is true it must be there; elsewhere the test is skipped and says so."""
    name = ctypes.util.find_library("ical")
    if name is None:
        said = "libical is not installed (Debian: apt-get install libical3)"
        if os.environ.get("CI") == "true":
            pytest.fail(said)
        pytest.skip(said)
    return Libical(ctypes.CDLL(name))
