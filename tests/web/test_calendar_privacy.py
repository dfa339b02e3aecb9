"""What no calendar file of a whole run may hold, mailed or public: a way in, a token, anybody else."""

import re
from email import message_from_bytes, policy

from tests.calendar_readers import by_icalendar, open_libical
from tests.web.exhibit import Exhibit
from tests.web.routes import EXAMPLES, example
from tests.web.visitor import HOST, Visitor

ADDRESS = re.compile(r"[\w.+%'-]+@[\w-]+\.[\w.-]+")
LINK = re.compile(r"[a-z][a-z0-9+.-]*://[^\s\\;,\"]+|\bwww\.\S+", re.IGNORECASE)
PAGE = re.compile(re.escape(HOST) + r"/symposia/[a-z0-9-]+")
LONG_AND_RANDOM = re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{24,}(?![A-Za-z0-9_-])")
UID = re.compile(r"UID:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
WAYS_IN = ("/u/", "/p/", "/c/", "/j/", "X-ALT-DESC", "ATTACH", "CONFERENCE", "COMMENT", "CONTACT", "VALARM")


def unfolded(octets: bytes) -> str:
    return octets.decode("utf-8").replace("\r\n ", "")


def every_mailed_file(exhibit: Exhibit) -> list[tuple[str, bytes]]:
    """(reader, octets) of both copies in every mail of a whole run."""
    found = []
    for entry in exhibit.inbox.list(limit=1000):
        mail = exhibit.inbox.read(entry.id)
        assert mail is not None
        message = message_from_bytes(mail.data, policy=policy.default)
        for part in message.walk():
            if part.get_content_type() in ("text/calendar", "application/ics"):
                octets = part.get_payload(decode=True)
                assert isinstance(octets, bytes)
                found.append((mail.recipients[0], octets))
    return found


def every_public_file(exhibit: Exhibit, looker: Visitor) -> list[bytes]:
    """Every calendar the pages link to, and every route that gives one."""
    paths = {example(route, exhibit.scene) for route in EXAMPLES if route.endswith(".ics")}
    for page in (
        "/symposia",
        "/symposia/ukraine",
        "/symposia/global",
        "/symposia/called-off",
        "/symposia/open-day",
    ):
        links = looker.see(page).css("a[href], link[href]")
        addresses = (str(link.attributes["href"]).removeprefix(HOST) for link in links)
        paths |= {path for path in addresses if ".ics" in path and path.startswith("/")}
    answers = [looker.get(path) for path in sorted(paths)]
    assert {answer.status_code for answer in answers} == {200}
    return [answer.content for answer in answers]


def check_private(octets: bytes, allowed: set[str], names: set[str]) -> None:
    """No link but the symposium's page, no address but those allowed, no name, no token."""
    text = unfolded(octets)
    assert [link for link in LINK.findall(text) if not PAGE.fullmatch(link)] == []
    assert set(ADDRESS.findall(text)) <= allowed
    assert not [name for name in names if name in text]
    rest = UID.sub("", text)
    assert LONG_AND_RANDOM.findall(rest) == []
    for way in (
        "/u/",
        "/p/",
        "/c/",
        "/j/",
        "zoom",
        "meet.",
        "X-ALT-DESC",
        "ATTACH",
        "CONFERENCE",
        "VALARM",
        "COMMENT",
    ):
        assert way not in rest


def test_no_file_of_a_whole_run_holds_a_way_in_or_anybody_else(exhibit: Exhibit, looker: Visitor) -> None:
    organiser = exhibit.house.settings.from_address
    names = {"Anna"}  # the readers' names; the others have none
    mailed = every_mailed_file(exhibit)
    assert len(mailed) >= 2 * 8 * 3  # confirmations, changes and cancellations for eight readers, twice each
    for reader, octets in mailed:
        check_private(octets, {organiser, reader}, names)
        assert unfolded(octets).count("\r\nATTENDEE") == 1
    published = every_public_file(exhibit, looker)
    assert len(published) >= 8
    for octets in published:
        check_private(octets, {organiser}, names)
        assert "ATTENDEE" not in unfolded(octets)
        assert "METHOD:PUBLISH" in unfolded(octets)


def test_every_public_file_keeps_the_rules_of_libical(exhibit: Exhibit, looker: Visitor) -> None:
    libical = open_libical()
    for octets in every_public_file(exhibit, looker):
        assert libical.complaints(octets) == []
        assert octets.count(b"\n") == octets.count(b"\r\n")
        assert all(len(line) <= 75 for line in octets.split(b"\r\n"))


def test_a_file_attached_to_a_mail_is_the_entry_of_the_download(exhibit: Exhibit, looker: Visitor) -> None:
    (published,) = by_icalendar(looker.get("/symposia/global.ics").content).events
    mailed = [by_icalendar(octets).events[0] for _, octets in every_mailed_file(exhibit)]
    same = [event for event in mailed if event.uid == published.uid]
    assert {event.starts for event in same if event.sequence == published.sequence} == {published.starts}
