"""Commands for topics and the audit log."""

import json
from collections.abc import Mapping
from typing import Annotated

import typer
from sqlalchemy import func, select

from mailer.cli import terminal
from mailer.db.people import Subscription, Topic
from mailer.db.staff import AuditEntry
from mailer.services import audit as chain
from mailer.services.audience import people
from mailer.vocabulary import Frequency, SubscriptionState

topic = typer.Typer(help="Topics: what people subscribe to.", no_args_is_help=True)


@topic.command("list")
@terminal.command
def list_() -> None:
    """All topics, how many confirmed subscribers each has, and how often they hear of its statements."""
    with terminal.house().database.read() as session:
        counts = {
            (topic_id, frequency): number
            for topic_id, frequency, number in session.execute(
                select(Subscription.topic_id, Subscription.frequency, func.count())
                .where(Subscription.state == SubscriptionState.CONFIRMED)
                .group_by(Subscription.topic_id, Subscription.frequency)
            )
        }
        rows = [
            (one.key, one.names.get("en", ""), *_figures(one, counts))
            for one in session.scalars(select(Topic).order_by(Topic.key))
        ]
    names = ("subscribers", *(frequency.value.replace("_", " ") for frequency in Frequency))
    terminal.table("Topics", ("key", "name", *names), rows, numbers=names)


def _figures(topic: Topic, counts: Mapping[tuple[int, Frequency], int]) -> tuple[str, ...]:
    """All subscribers, then those of each frequency where the topic has statements."""
    parts = [counts.get((topic.id, frequency), 0) for frequency in Frequency]
    shown = [f"{part:,}" if people.has_statements(topic) else "" for part in parts]
    return (f"{sum(parts):,}", *shown)


@topic.command("add")
@terminal.command
def add(
    key: Annotated[str, typer.Argument(help="A short name for ever: it becomes the List-Id.")],
    name: Annotated[list[str], typer.Option(help="Its name in a language, as en=News; repeatable.")],
) -> None:
    """Add a topic, or change the names of one."""
    if not key.isascii() or not key.replace("-", "").isalnum() or len(key) > 63:
        terminal.fail("A topic's key is short: ASCII letters, digits and hyphens, such as press-releases.")
    names = dict(part.split("=", 1) for part in name if "=" in part)
    if len(names) != len(name) or "en" not in names:
        terminal.fail(
            "Give each name with its language, English among them: --name en=News --name fr=Nouvelles"
        )
    with terminal.house().database.write() as session:
        people.add_topic(session, key.lower(), names)
    terminal.say(f'The topic "{key.lower()}" is there.')


@terminal.command
def audit(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many entries.")] = 50,
) -> None:
    """The newest entries of the audit log; exit code 1 when an entry was altered or removed."""
    with terminal.house().database.read() as session:
        newest = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)).all()
        rows = [
            (f"{one.at:%Y-%m-%d %H:%M:%S}", one.actor, one.action, one.subject, json.dumps(one.detail))
            for one in reversed(newest)
        ]
        broken = chain.first_break(session)
    terminal.table("Audit log (UTC)", ("when", "who", "what", "which", "detail"), rows)
    if broken is not None:
        terminal.fail(f"The log is not whole: entry {broken} does not follow from the one before it.")
