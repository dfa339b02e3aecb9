"""Logs: one line per event on standard error, fixed words and ids, never a person.

Libraries speak through the same filter: their messages lose whatever looks like an
address before they are written.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

ADDRESS = re.compile(r"[^\s<>\"'(),;:=]+@[^\s<>\"'(),;:]+")
QUIET = ("celery", "kombu", "amqp", "uvicorn", "mail.log", "asyncio", "aiosmtpd", "alembic")


def scrub(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace everything that looks like an address, in every field."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = ADDRESS.sub("<addr>", value)
    return event


def configure(level: str) -> None:
    """Send every log line of this process through the filter to standard error."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                scrub,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, getattr(logging, level)))
