"""What stops an ingest: each message says what happened and what to do next.

No message repeats an address or a name.
"""


class IngestError(Exception):
    """Nothing was taken from the source; the message is written for the person at the terminal."""


class PageError(IngestError):
    """A page cannot be read: not text, empty, too large, in an unknown encoding."""


class FetchError(PageError):
    """A page cannot be fetched: a refused host or address, a limit, an answer that is no page."""


class ServerError(FetchError):
    """The server answered, but not with a page. `status` is its code, `retry_after` seconds it asked for."""

    def __init__(self, message: str, *, status: int, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class PeopleError(IngestError):
    """A CSV of subscribers cannot be read as a whole. One bad row is a Reject, not an error."""
