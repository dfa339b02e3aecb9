"""Whether something answers at an address: HEAD, then GET, never the body, never a private address."""

import ipaddress
from collections.abc import Callable, Iterator, Sequence

import pytest

from mailer.ingest.errors import FetchError, ServerError
from mailer.ingest.fetch import Limits
from mailer.ingest.reachable import answers
from mailer.networks import Address
from tests.recordings import LIMITS, RecordingServer


@pytest.fixture
def recording() -> Iterator[RecordingServer]:
    with RecordingServer() as server:
        yield server


def ask(server: RecordingServer, url: str | None = None) -> None:
    answers(url or server.url, limits=LIMITS, resolve=server.resolve, agent="a test")


def own_number_or(server: RecordingServer) -> Callable[[str, int], Sequence[Address]]:
    """Numbers are themselves, names are the server's."""

    def resolve(host: str, port: int) -> Sequence[Address]:
        return server.resolve(host, port) if host.endswith(".org") else [ipaddress.ip_address(host)]

    return resolve


def test_a_head_is_enough(recording: RecordingServer) -> None:
    ask(recording)
    assert recording.asked == ["HEAD"]
    assert recording.agents == ["a test"]


@pytest.mark.parametrize("refusal", [403, 404, 405, 501])
def test_who_refuses_head_is_asked_by_get_and_its_body_is_not_read(
    recording: RecordingServer, refusal: int
) -> None:
    recording.head = refusal
    ask(recording)
    assert recording.asked == ["HEAD", "GET"]


@pytest.mark.parametrize("status", [401, 404, 410, 500, 304])
def test_another_answer_is_none(recording: RecordingServer, status: int) -> None:
    recording.head = recording.status = status
    with pytest.raises(ServerError, match=f"answers {status}"):
        ask(recording)


def test_a_redirect_is_followed(recording: RecordingServer) -> None:
    recording.location = recording.url
    ask(recording, recording.url.replace("/r/1", "/moved"))
    assert recording.asked == ["HEAD", "HEAD"]


def test_redirects_come_to_an_end(recording: RecordingServer) -> None:
    recording.location = "/moved"
    with pytest.raises(FetchError, match="redirects more than"):
        ask(recording, recording.url.replace("/r/1", "/moved"))


@pytest.mark.parametrize("target", ["http://10.0.0.1/", "http://[::1]/", "http://169.254.169.254/latest"])
def test_no_private_address_is_asked(recording: RecordingServer, target: str) -> None:
    with pytest.raises(FetchError, match=r"not public|no public host"):
        answers(target, limits=Limits(plain_http=True))
    recording.location = target  # and by no redirect
    with pytest.raises(FetchError):
        answers(recording.url.replace("/r/1", "/moved"), limits=LIMITS, resolve=own_number_or(recording))
    assert set(recording.asked) == {"HEAD", "GET"}


def test_a_name_that_leads_inside_is_refused(recording: RecordingServer) -> None:
    with pytest.raises(FetchError, match="not public"):
        answers(recording.url.replace(f":{recording.port}", ""), limits=Limits(plain_http=True),
                resolve=lambda _h, _p: [ipaddress.ip_address("127.0.0.1")])  # fmt: skip
    assert recording.asked == []


def test_silence_ends(recording: RecordingServer) -> None:
    port = recording.port
    recording.__exit__()
    with pytest.raises(FetchError, match="does not answer"):
        answers(f"http://recordings.example.org:{port}/", limits=LIMITS, resolve=recording.resolve)
