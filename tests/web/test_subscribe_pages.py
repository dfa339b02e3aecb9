"""Coming: the form, the request for confirmation, and its link. Nobody learns from it who is known."""

from datetime import timedelta

import pytest
from selectolax.lexbor import LexborHTMLParser
from sqlalchemy import func, select

from mailer.db.mailings import Mailing
from mailer.db.people import Subscriber, Subscription, Topic
from mailer.messages.catalogues import LANGUAGES
from mailer.messages.tokens import Purpose, mint
from mailer.services.audience import people
from mailer.services.house import House
from mailer.services.registration import limits
from mailer.vocabulary import Frequency, MailingKind, SubscriptionState
from tests.web.conftest import Clock
from tests.web.exhibit import Exhibit
from tests.web.scene import Scene
from tests.web.visitor import Visitor, heading, words

NEW = {"address": "new@example.org", "topics": ["statements"], "language": "hy"}


def fill(visitor: Visitor, clock: Clock, *, seconds: float = 10, **typed: object) -> tuple[int, str]:
    """Open the form, take some time, send it; the status and where it leads."""
    page = visitor.see("/subscribe")
    shown = page.css_first("input[name=shown]").attributes["value"]
    clock.now += timedelta(seconds=seconds)
    answer = visitor.post("/subscribe", data={"shown": shown, **NEW, **typed})
    return answer.status_code, answer.headers.get("location", answer.text)


def subscriptions(house: House, address: str) -> dict[str, SubscriptionState]:
    with house.database.read() as session:
        rows = session.execute(
            select(Topic.key, Subscription.state)
            .join(Topic, Topic.id == Subscription.topic_id)
            .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
            .where(Subscriber.address_index == house.vault.address_index(address))
        )
        return {key: state for key, state in rows}  # noqa: C416 - rows are no pairs to a type checker


def requests_for_confirmation(house: House) -> int:
    with house.database.read() as session:
        return session.scalar(select(func.count()).where(Mailing.kind == MailingKind.OPT_IN)) or 0


def test_the_form_asks_for_what_is_needed_and_ticks_nothing(looker: Visitor) -> None:
    page = looker.see("/subscribe")
    address = page.css_first("input[type=email]")
    assert address.attributes["autocomplete"] == "email"
    assert page.css_first(f"label[for={address.attributes['id']}]") is not None
    topics = page.css("input[type=checkbox]")
    assert len(topics) == 2
    assert not any("checked" in topic.attributes for topic in topics)
    assert {field.attributes["value"] for field in page.css("input[type=radio]")} == set(LANGUAGES)
    assert page.css_first("input[name=name]") is None


def test_a_wish_is_noted_and_waits_for_its_confirmation(house: House, visitor: Visitor, clock: Clock) -> None:
    assert fill(visitor, clock) == (303, "/subscribe/sent")
    assert subscriptions(house, "new@example.org") == {"statements": SubscriptionState.PENDING}
    assert requests_for_confirmation(house) == 1
    assert heading(visitor.get("/subscribe/sent")) == "Check your mail"
    with house.database.read() as session:
        person = people.find(session, house, "NEW@example.org")
        assert person is not None
        assert person.languages == ["hy"]


def test_how_often_is_chosen_with_the_topic(house: House, visitor: Visitor, clock: Clock) -> None:
    assert fill(visitor, clock, often=["statements:daily"])[0] == 303
    with house.database.read() as session:
        person = people.find(session, house, "new@example.org")
        assert person is not None
        (wish,) = session.scalars(select(Subscription).where(Subscription.subscriber_id == person.id))
        assert wish.frequency is Frequency.DAILY
    status, text = fill(visitor, clock, address="nobody", often=["statements:weekly"])
    assert status == 422
    kept = LexborHTMLParser(text).css_first("select[name=often] option[selected]")
    assert kept.attributes["value"] == "statements:weekly"


def test_a_stranger_cannot_change_how_often_a_reader_hears(
    house: House, scene: Scene, visitor: Visitor, clock: Clock
) -> None:
    assert fill(visitor, clock, address="anna@example.org", often=["statements:weekly"])[0] == 303
    with house.database.read() as session:
        person = people.find(session, house, "anna@example.org")
        assert person is not None
        theirs = session.scalars(select(Subscription).where(Subscription.subscriber_id == person.id))
        assert {one.frequency for one in theirs} == {Frequency.AT_ONCE}


def test_one_address_gets_one_request_whatever_it_was_entered_for(
    house: House, visitor: Visitor, clock: Clock
) -> None:
    for topics in (["statements", "symposia"], ["statements"], ["symposia"]):
        assert fill(visitor, clock, topics=topics)[0] == 303
    assert requests_for_confirmation(house) == 1
    assert set(subscriptions(house, "new@example.org")) == {"statements", "symposia"}


def test_known_left_and_new_addresses_get_the_same_answer(
    house: House, scene: Scene, visitor: Visitor, clock: Clock
) -> None:
    answers = {
        fill(visitor, clock, address=address)
        for address in ("anna@example.org", "left@example.org", "waiting@example.org", "stranger@example.org")
    }
    assert answers == {(303, "/subscribe/sent")}
    assert subscriptions(house, "anna@example.org") == {"statements": SubscriptionState.CONFIRMED}


def test_a_hidden_topic_cannot_be_asked_for(house: House, visitor: Visitor, clock: Clock) -> None:
    with house.database.write() as session:
        people.add_topic(session, "inner-circle", {"en": "Inner circle"}).public = False
    assert "Inner circle" not in visitor.get("/subscribe").text
    status, page = fill(visitor, clock, topics=["inner-circle"])
    assert (status, "choose at least one topic" in page) == (422, True)
    assert subscriptions(house, "new@example.org") == {}


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nobody",
        "a@",
        "@example.org",
        "a b@example.org",
        "a@example",
        "a@exa mple.org",
        "x" * 300 + "@example.org",
    ],
)
def test_a_refused_form_comes_back_with_what_was_typed(
    house: House, visitor: Visitor, clock: Clock, address: str
) -> None:
    status, text = fill(visitor, clock, address=address)
    assert status == 422
    page = visitor.post("/subscribe", data={**NEW, "address": address})
    assert "<title>Error: Subscribe" in text
    assert page.status_code == 422
    assert requests_for_confirmation(house) == 0


def test_the_refused_form_leads_to_its_fields(looker: Visitor) -> None:
    answer = looker.post("/subscribe", data={"address": "<b>x", "language": "uk"})
    page = LexborHTMLParser(answer.text)
    targets = [str(link.attributes["href"]) for link in page.css("[role=alert] a")]
    assert targets == ["#address", "#topics"]
    assert all(page.css_first(target) is not None for target in targets)
    field = page.css_first("#address")
    assert field.attributes["value"] == "<b>x"
    assert field.attributes["aria-invalid"] == "true"
    assert page.css_first("#" + str(field.attributes["aria-describedby"])) is not None
    assert page.css_first("input[type=radio][checked]").attributes["value"] == "uk"


@pytest.mark.parametrize(
    "address",
    ["o'brien+list@example.org", "user@bücher.example", "почта@example.org", "A" * 64 + "@example.org"],
)
def test_unusual_addresses_are_addresses(house: House, visitor: Visitor, clock: Clock, address: str) -> None:
    assert fill(visitor, clock, address=f"  {address} ") == (303, "/subscribe/sent")
    assert subscriptions(house, address) == {"statements": SubscriptionState.PENDING}


@pytest.mark.parametrize("seconds", [0, 2, 25 * 3600])
def test_a_form_sent_in_no_time_or_kept_for_days_asks_once_more(
    house: House, visitor: Visitor, clock: Clock, seconds: int
) -> None:
    status, text = fill(visitor, clock, seconds=seconds)
    assert status == 422
    assert "press the button once more" in text
    assert requests_for_confirmation(house) == 0


@pytest.mark.parametrize("shown", ["", "aaaa", "x" * 500])
def test_a_form_that_was_never_shown_is_not_taken(exhibit: Exhibit, looker: Visitor, shown: str) -> None:
    assert looker.post("/subscribe", data={**NEW, "shown": shown}).status_code == 422
    other_form = mint(exhibit.house.tokens, Purpose.NONCE, 2, 1_706_806_000, 0)
    assert looker.post("/subscribe", data={**NEW, "shown": other_form}).status_code == 422


def test_a_program_that_fills_every_field_learns_nothing(
    house: House, visitor: Visitor, clock: Clock
) -> None:
    assert fill(visitor, clock, leave_empty="https://spam.example") == (303, "/subscribe/sent")
    assert subscriptions(house, "new@example.org") == {}
    trap = visitor.see("/subscribe").css_first("input[name=leave_empty]")
    assert trap.attributes["tabindex"] == "-1"


def test_confirming_needs_the_button_and_covers_what_the_page_named(
    house: House, scene: Scene, visitor: Visitor
) -> None:
    with house.database.write() as session:
        person = people.find(session, house, "waiting@example.org")
        assert person is not None
        session.add(
            Subscription(
                subscriber_id=person.id,
                topic_id=people.topic(session, "symposia").id,
                state=SubscriptionState.PENDING,
                changed_at=person.created_at,
            )
        )
    path = f"/c/{scene.confirm}"
    for method in ("GET", "HEAD", "OPTIONS"):
        visitor.ask(method, path)
    assert set(subscriptions(house, "waiting@example.org").values()) == {SubscriptionState.PENDING}
    assert "Statements Symposia" in words(visitor.get(path))
    assert visitor.press(path, path).headers["location"] == path
    assert set(subscriptions(house, "waiting@example.org").values()) == {SubscriptionState.CONFIRMED}
    assert heading(visitor.get(path)) == "Your subscription is confirmed"


def test_pressing_without_having_seen_the_page_confirms_nothing(
    house: House, scene: Scene, visitor: Visitor
) -> None:
    answer = visitor.post(f"/c/{scene.confirm}")
    assert answer.status_code == 303
    assert subscriptions(house, "waiting@example.org") == {"statements": SubscriptionState.PENDING}
    assert "press the button once more" in words(visitor.get(answer.headers["location"]))


def test_an_expired_link_offers_a_new_one(house: House, scene: Scene, visitor: Visitor) -> None:
    path = f"/c/{scene.confirm_expired}"
    page = visitor.get(path)
    assert (page.status_code, heading(page)) == (410, "This link has expired")
    for _ in range(3):
        assert visitor.press(path, f"{path}/again").headers["location"] == "/subscribe/sent"
    assert requests_for_confirmation(house) == 1


@pytest.mark.parametrize("token", ["a", "ä" * 9, "x" * 1000])
def test_a_forged_confirmation_is_no_page(looker: Visitor, token: str) -> None:
    assert looker.get(f"/c/{token}").status_code == 404
    assert looker.post(f"/c/{token}/again").headers["location"] == "/subscribe/sent"


def test_too_many_forms_of_one_network_are_refused_for_an_hour_whoever_they_name(
    house: House, scene: Scene, visitor: Visitor, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PER_NETWORK", 2)
    clock.now = clock.now.replace(minute=1)
    before = requests_for_confirmation(house)
    answers = [fill(visitor, clock, address=f"a{number}@example.org")[0] for number in range(4)]
    assert answers == [303, 303, 429, 429]
    assert requests_for_confirmation(house) - before == 2
    clock.now += timedelta(hours=1)
    assert fill(visitor, clock, address="later@example.org")[0] == 303
