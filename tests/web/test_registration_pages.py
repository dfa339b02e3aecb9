"""Registering by the page: what the form asks, what it refuses, and that it tells nobody who is known."""

from datetime import timedelta
from typing import Any

import pytest
from selectolax.lexbor import LexborHTMLParser
from sqlalchemy import func, select, update

from mailer.db.mailings import Mailing
from mailer.db.people import Subscriber, Suppression
from mailer.db.programme import Registration, Symposium
from mailer.services.audience import people
from mailer.services.house import House
from mailer.services.programme import symposia
from mailer.services.registration import details, limits
from mailer.vocabulary import MailingKind, RegistrationState, SuppressionReason, SymposiumState
from tests.web.conftest import Clock
from tests.web.scene import Scene
from tests.web.visitor import Visitor, heading, words

FORM = "/symposia/restorative/register"
NEW = {"address": "new@example.org", "name": "Nune", "language": "hy", "answer_role": "Student"}
ROUTES = {"restorative": FORM, "series": "/series/prevention"}


def fill(
    visitor: Visitor, clock: Clock, path: str = FORM, *, seconds: float = 10, **typed: Any
) -> tuple[int, str]:
    """Open the form, take some time, send it; the status and where it leads, or the page."""
    shown = visitor.see(path).css_first("input[name=shown]").attributes["value"]
    clock.now += timedelta(seconds=seconds)
    answer = visitor.post(path, data={"shown": shown, **NEW, **typed})
    return answer.status_code, answer.headers.get("location", answer.text)


def states(house: House, address: str) -> dict[str, RegistrationState]:
    with house.database.read() as session:
        rows = session.execute(
            select(Symposium.slug, Registration.state)
            .join(Symposium, Symposium.id == Registration.symposium_id)
            .join(Subscriber, Subscriber.id == Registration.subscriber_id)
            .where(Subscriber.address_index == house.vault.address_index(address))
        )
        return {slug: state for slug, state in rows}  # noqa: C416 - rows are no pairs to a type checker


def requests(house: House) -> int:
    with house.database.read() as session:
        return (
            session.scalar(select(func.count()).where(Mailing.kind == MailingKind.REGISTRATION_REQUEST)) or 0
        )


def token_of(house: House, address: str, clock: Clock) -> str:
    """The token in the request that was mailed to somebody."""
    with house.database.read() as session:
        person = people.find(session, house, address)
        assert person is not None
        found = session.scalars(
            select(Mailing.registration_id)
            .join(Registration, Registration.id == Mailing.registration_id)
            .where(Mailing.kind == MailingKind.REGISTRATION_REQUEST, Registration.subscriber_id == person.id)
            .order_by(Mailing.id.desc())
        ).first()
        assert found is not None
        return house.attend_url(found, clock.now).rsplit("/", 1)[1]


def test_the_form_asks_what_the_symposium_asks(looker: Visitor) -> None:
    page = looker.see(FORM)
    for name in ("address", "name", "zone", "access", "answer_note"):
        field = page.css_first(f"[name={name}]")
        assert field is not None
        assert page.css_first(f"label[for={field.attributes['id']}]") is not None
    assert len(page.css("input[name=answer_role]")) == 2
    assert page.css_first("#name").attributes["autocomplete"] == "name"
    assert "deleted 30 days after" in page.css_first("#access-hint").text()
    assert details.KEPT_DAYS == 30  # as the form says
    assert "Կճաշե՞ք" in looker.get(f"{FORM}?lang=hy").text


def test_a_form_takes_no_place_until_the_mail_is_answered(
    house: House, scene: Scene, visitor: Visitor, clock: Clock
) -> None:
    assert fill(visitor, clock) == (303, "/register/sent")
    assert states(house, "new@example.org") == {"restorative": RegistrationState.PENDING}
    assert requests(house) == 1
    assert heading(visitor.get("/register/sent")) == "Check your mail"
    path = f"/attend/{token_of(house, 'new@example.org', clock)}"
    for method in ("GET", "HEAD", "OPTIONS"):
        visitor.ask(method, path)
    assert visitor.post(path, data={"dates": ["restorative"]}).headers["location"].endswith("again=1")
    assert states(house, "new@example.org") == {"restorative": RegistrationState.PENDING}

    assert "Nune" in words(visitor.get(path, headers={"accept-language": "en"}))
    shown = visitor.see(path).css_first("input[name=shown]").attributes["value"]
    for _ in range(3):  # whoever presses it again changes nothing
        answer = visitor.post(path, data={"shown": shown, "dates": ["restorative", "no-such-date"]})
        assert answer.headers["location"] == path
    with house.database.read() as session:
        person = people.find(session, house, "new@example.org")
        assert person is not None
        confirmations = Mailing.key.like("registration:%:confirmation:%")
        theirs = select(Registration.id).where(Registration.subscriber_id == person.id)
        assert (
            session.scalar(select(func.count()).where(confirmations, Mailing.registration_id.in_(theirs)))
            == 1
        )
    assert visitor.press(f"/attend/{scene.attend}", f"/attend/{scene.attend}").status_code == 303
    assert states(house, "new@example.org") == {"restorative": RegistrationState.CONFIRMED}
    assert "You are registered." in words(visitor.get(f"{path}?lang=en"))


def test_beyond_the_capacity_people_wait(house: House, scene: Scene, visitor: Visitor, clock: Clock) -> None:
    for number in range(3):
        address = f"guest{number}@example.org"
        fill(visitor, clock, address=address)
        path = f"/attend/{token_of(house, address, clock)}"
        visitor.press(path, path)
    came = [states(house, f"guest{number}@example.org")["restorative"].value for number in range(3)]
    assert came == ["confirmed", "waiting", "waiting"]  # Layla has waited longer, and has moved up
    assert "put on the waiting list" in words(visitor.get(f"{FORM}?lang=en"))


def test_known_unknown_withdrawn_and_suppressed_addresses_get_the_same_answer(
    house: House, scene: Scene, visitor: Visitor, clock: Clock
) -> None:
    with house.database.write() as session:
        people.suppress(session, house, "bounced@example.org", SuppressionReason.BOUNCE, clock.now)
        people.suppress(session, house, "mei@example.org", SuppressionReason.COMPLAINT, clock.now)
    answers = {
        fill(visitor, clock, address=address)
        for address in (
            "anna@example.org",  # a subscriber
            "layla@example.org",  # waits for it already
            "claire@example.org",  # withdrew
            "olena@example.org",  # has a request open
            "bounced@example.org",
            "mei@example.org",
            "stranger@example.org",
        )
    }
    assert answers == {(303, "/register/sent")}
    assert states(house, "layla@example.org")["restorative"] is RegistrationState.WAITING
    with house.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Suppression)) == 2


@pytest.mark.slow
def test_a_stranger_cannot_flood_an_address(
    house: House, scene: Scene, visitor: Visitor, clock: Clock
) -> None:
    for day in range(8):
        for path in ROUTES.values():
            fill(visitor, clock, path, dates=["global"], seconds=10)
        clock.now += timedelta(days=1, minutes=day)
    assert requests(house) == 3


def test_who_answers_may_register_for_the_next_one_at_once(
    house: House, scene: Scene, visitor: Visitor, clock: Clock
) -> None:
    fill(visitor, clock)
    path = f"/attend/{token_of(house, 'new@example.org', clock)}"
    visitor.press(path, path)
    clock.now += timedelta(minutes=5)
    fill(visitor, clock, "/symposia/global/register")
    assert requests(house) == 2


def test_a_series_has_one_form_for_several_dates(
    house: House, scene: Scene, visitor: Visitor, clock: Clock
) -> None:
    page = visitor.see("/series/prevention")
    offered = [str(field.attributes["value"]) for field in page.css("input[name=dates]")]
    assert offered == ["global", "called-off", "restorative"]  # one is over, one registers elsewhere
    assert fill(visitor, clock, "/series/prevention", dates=["global"])[0] == 303
    assert set(states(house, "new@example.org")) == {"global"}
    assert fill(visitor, clock, "/series/prevention", address="all@example.org", every="1")[0] == 303
    assert set(states(house, "all@example.org")) == {"called-off", "global", "restorative"}
    with house.database.read() as session:
        mailing = session.scalars(select(Mailing).order_by(Mailing.id.desc())).first()
        assert mailing is not None
        assert len(mailing.facts["more"]) == 2
    path = f"/attend/{token_of(house, 'all@example.org', clock)}"
    visitor.press(path, path)
    assert set(states(house, "all@example.org").values()) == {RegistrationState.CONFIRMED}


@pytest.mark.parametrize(
    ("path", "typed", "problem"),
    [
        (FORM, {"address": ""}, "address"),
        (FORM, {"address": "nobody"}, "address"),
        (FORM, {"address": "x" * 300 + "@example.org"}, "address"),
        (FORM, {"name": "x" * 201}, "name"),
        (FORM, {"name": "a\x00b"}, "name"),
        (FORM, {"access": "x" * 1001}, "access"),
        (FORM, {"answer_role": ""}, "answer_role"),
        (FORM, {"answer_role": "King"}, "answer_role"),
        (FORM, {"answer_diet": "perhaps"}, "answer_diet"),
        (FORM, {"answer_note": "x" * 1001}, "answer_note"),
        ("/series/prevention", {}, "dates"),
        ("/series/prevention", {"dates": ["first"]}, "dates"),
        ("/series/prevention", {"dates": ["no-such-date"]}, "dates"),
        ("/series/prevention", {"dates": ["global", "no-such-date"]}, "dates"),
    ],
)
def test_a_refused_form_comes_back_and_says_where(
    house: House, scene: Scene, visitor: Visitor, clock: Clock, path: str, typed: dict[str, Any], problem: str
) -> None:
    status, text = fill(visitor, clock, path, **typed)
    page = LexborHTMLParser(text)
    assert status == 422
    assert text.count("<title>Error:") == 1
    assert f"#{problem}" in [str(link.attributes["href"]) for link in page.css("[role=alert] a")]
    assert page.css_first(f"#{problem}") is not None
    assert page.css_first(f"#{problem}-problem") is not None
    assert requests(house) == 0


@pytest.mark.parametrize("seconds", [0, 2, 25 * 3600])
def test_a_form_sent_in_no_time_or_kept_for_days_asks_once_more(
    house: House, scene: Scene, visitor: Visitor, clock: Clock, seconds: int
) -> None:
    status, text = fill(visitor, clock, seconds=seconds)
    assert (status, "press the button once more" in text) == (422, True)
    assert requests(house) == 0


def test_a_program_that_fills_every_field_learns_nothing(
    house: House, scene: Scene, visitor: Visitor, clock: Clock
) -> None:
    assert fill(visitor, clock, leave_empty="https://spam.example") == (303, "/register/sent")
    assert states(house, "new@example.org") == {}


def test_too_many_forms_of_one_network_are_refused_for_an_hour_whoever_they_name(
    house: House, scene: Scene, visitor: Visitor, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PER_NETWORK", 2)
    clock.now = clock.now.replace(minute=1)
    answers = [fill(visitor, clock, address=f"a{number}@example.org")[0] for number in range(4)]
    assert answers == [303, 303, 429, 429]
    clock.now += timedelta(hours=1)
    assert fill(visitor, clock, address="later@example.org")[0] == 303


def test_a_closed_form_says_why(house: House, scene: Scene, visitor: Visitor, clock: Clock) -> None:
    def page(**facts: Any) -> str:
        with house.database.write() as session:
            session.execute(update(Symposium).where(Symposium.slug == "restorative").values(**facts))
        return words(visitor.get(f"{FORM}?lang=en"))

    shown = visitor.see(FORM).css_first("input[name=shown]").attributes["value"]
    assert "Registration opens:" in page(registration_opens_at=clock.now + timedelta(days=1))
    assert "Registration has closed." in page(registration_opens_at=None, registration_closes_at=clock.now)
    clock.now += timedelta(seconds=10)
    late = visitor.post(FORM, data={"shown": shown, **NEW})
    assert late.status_code == 422
    assert states(house, "new@example.org") == {}
    assert "All places are taken." in page(registration_closes_at=None, capacity=0, waiting_list=False)
    assert "Called off" in page(state=SymposiumState.CANCELLED)
    with house.database.write() as session:
        symposia.find(session, "restorative").state = SymposiumState.DRAFT
    assert visitor.get(FORM).status_code == 404
    assert visitor.post(FORM, data=NEW).status_code == 404


def test_a_registration_is_looked_after_by_its_link(
    house: House, scene: Scene, visitor: Visitor, clock: Clock
) -> None:
    path = f"/r/{scene.own}"
    before = states(house, "anna@example.org")
    for method in ("GET", "HEAD", "OPTIONS"):
        visitor.ask(method, path)
    for action in ("cancel", "change", "again"):
        assert visitor.post(f"{path}/{action}").headers["location"] == f"{path}?again=1"
    assert states(house, "anna@example.org") == before

    visitor.press(path, f"{path}/change", language="uk", zone="Europe/Kyiv")
    with house.database.read() as session:
        kept = session.scalars(select(Registration).where(Registration.zone == "Europe/Kyiv")).one()
        assert kept.languages == ["uk", "en"]
    for expected in ("sent", "sent", "sent", "often"):
        assert visitor.press(path, f"{path}/again").headers["location"] == f"{path}?{expected}=1"
    visitor.press(path, f"{path}/cancel")
    assert states(house, "anna@example.org")["ukraine"] is RegistrationState.WITHDRAWN
    assert "Your registration is cancelled." in words(visitor.get(f"{path}?lang=en"))
    assert "cancel" not in [form.attributes["action"] for form in visitor.see(path).css("main form")]


def test_after_the_end_nothing_can_be_changed(
    house: House, scene: Scene, visitor: Visitor, clock: Clock
) -> None:
    clock.now += timedelta(days=30)
    page = visitor.see(f"/r/{scene.own}?lang=en")
    assert page.css("main form") == []
    assert "This symposium is over." in page.css_first("main").text()


def test_an_attendee_sees_what_they_told_us(visitor: Visitor, scene: Scene) -> None:
    said = words(visitor.get(f"/r/{scene.own_arabic}?lang=en"))
    assert "What would help you to take part?A ramp" in said
    assert "Will you eat with us?Yes" in said
    assert "You are on the waiting list." in said


def test_tokens_open_only_their_own_door(scene: Scene, visitor: Visitor) -> None:
    for token in (scene.leave, scene.confirm, scene.preferences, scene.join, scene.attend):
        assert visitor.get(f"/r/{token}").status_code == 404
    for token in (scene.leave, scene.confirm, scene.preferences, scene.join, scene.own):
        assert visitor.get(f"/attend/{token}").status_code == 404


def test_what_a_stranger_typed_stands_sealed(
    house: House, scene: Scene, visitor: Visitor, clock: Clock
) -> None:
    fill(visitor, clock, access="A sign interpreter", answer_note="No photographs")
    with house.database.read() as session:
        person = people.find(session, house, "new@example.org")
        assert person is not None
        kept = session.scalars(select(Registration).where(Registration.subscriber_id == person.id)).one()
        assert kept.details is not None
        assert b"interpreter" not in kept.details
        told = details.read(house, kept)
        assert (told.access, told.answers) == (
            "A sign interpreter",
            {"role": "Student", "note": "No photographs"},
        )


def test_the_owner_sees_what_the_form_says_and_unticks_what_is_not_wanted(
    house: House, scene: Scene, visitor: Visitor, clock: Clock
) -> None:
    fill(visitor, clock, "/series/prevention", every="1", answer_note="No <b>photographs</b>")
    path = f"/attend/{token_of(house, 'new@example.org', clock)}"
    page = visitor.see(f"{path}?lang=en")
    said = " ".join(page.css_first("main").text().split())
    for word in ("Nune", "You come as", "Student", "No <b>photographs</b>"):
        assert word in said
    ticks = page.css("input[type=checkbox][name=dates][checked]")
    assert [one.attributes["value"] for one in ticks] == ["global", "called-off", "restorative"]  # by day
    shown = page.css_first("input[name=shown]").attributes["value"]
    visitor.post(path, data={"shown": shown})
    assert set(states(house, "new@example.org").values()) == {RegistrationState.PENDING}
    visitor.post(path, data={"shown": shown, "dates": ["global"]})
    assert states(house, "new@example.org") == {
        "called-off": RegistrationState.PENDING,
        "global": RegistrationState.CONFIRMED,
        "restorative": RegistrationState.PENDING,
    }


def test_a_full_house_is_not_called_closed_behind_the_link(
    house: House, scene: Scene, visitor: Visitor, clock: Clock
) -> None:
    fill(visitor, clock)
    path = f"/attend/{token_of(house, 'new@example.org', clock)}?lang=en"
    assert "put on the waiting list" not in words(visitor.get(path))
    with house.database.write() as session:
        symposium = symposia.find(session, "restorative")
        symposium.capacity = 1
        fill_up = session.scalars(
            select(Registration).where(
                Registration.symposium_id == symposium.id, Registration.state == RegistrationState.WAITING
            )
        ).first()
        assert fill_up is not None
        fill_up.state = RegistrationState.CONFIRMED
    assert "put on the waiting list" in words(visitor.get(path))
    with house.database.write() as session:
        symposia.find(session, "restorative").waiting_list = False
    assert "All places are taken." in words(visitor.get(path))
    assert "has closed" not in words(visitor.get(path))


def test_no_city_is_a_choice_that_is_kept(house: House, scene: Scene, visitor: Visitor, clock: Clock) -> None:
    fill(visitor, clock, zone="Asia/Yerevan")
    attend = f"/attend/{token_of(house, 'new@example.org', clock)}"
    visitor.press(attend, attend)
    own = str(visitor.see(attend).css_first("main a").attributes["href"]).split("?")[0]
    for zone in ("Europe/Kyiv", ""):
        visitor.press(own, f"{own}/change", language="en", zone=zone)
        chosen = visitor.see(own).css_first("#zone option[selected]")
        assert (chosen.attributes["value"] if chosen is not None else "") == zone
    visitor.press(own, f"{own}/change", language="en", zone="Mars/Phobos")
    chosen = visitor.see(own).css_first("#zone option[selected]")
    assert (chosen.attributes["value"] if chosen is not None else "") == ""


def test_the_page_of_a_series_leads_to_its_dates_and_its_calendar(looker: Visitor) -> None:
    page = looker.see("/series/prevention?lang=en")
    leads = [str(link.attributes["href"]).split("?")[0] for link in page.css("main a")]
    for slug in ("global", "restorative", "ukraine"):
        assert f"/symposia/{slug}" in leads
    assert any(link.endswith("/calendars/series/prevention.ics") for link in leads)


def test_needs_may_have_more_than_one_line(
    house: House, scene: Scene, visitor: Visitor, clock: Clock
) -> None:
    needs = "Captions, please\r\nand a ramp\r\n"
    full = needs + "x" * (
        1_000 - len(needs) + 2
    )  # as many signs as the field takes, its line ends sent as two
    assert fill(visitor, clock, access=full, answer_note=needs) == (303, "/register/sent")
    with house.database.read() as session:
        person = people.find(session, house, "new@example.org")
        assert person is not None
        kept = session.scalars(select(Registration).where(Registration.subscriber_id == person.id)).one()
        told = details.read(house, kept)
    assert told.access is not None
    assert told.access.startswith("Captions, please\nand a ramp\nx")
    assert told.answers["note"] == "Captions, please\nand a ramp"
