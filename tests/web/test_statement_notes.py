"""Corrections and retractions on the pages: same address, what was wrong, what changed, what was before."""

from datetime import timedelta
from xml.etree import ElementTree

from mailer.db.programme import Statement
from mailer.services.house import House
from mailer.services.programme import corrections, statements
from tests.web.conftest import Clock
from tests.web.scene import Scene
from tests.web.visitor import HOST, Visitor, heading, words

ATOM = "{http://www.w3.org/2005/Atom}"


def test_a_corrected_statement_says_so_and_shows_both_texts(looker: Visitor) -> None:
    page = looker.see("/statements/a-corrected-one")
    said = words(looker.get("/statements/a-corrected-one"))
    assert "Corrected on February 1, 2024" in said
    assert said.index("It said 212.") < said.index("It was 188.") < said.index("188 people were held.")
    assert [node.text() for node in page.css("del")] == ["212"]
    assert [node.text() for node in page.css("ins")] == ["188"]
    old = page.css_first("details .prose")
    assert "212 people were held." in old.text()
    assert page.css_first("article > .prose").text().strip().startswith("2020")
    assert "212" not in page.css_first("article > .prose").text()
    canonical = page.css_first("link[rel=canonical]")
    assert canonical.attributes["href"] == f"{HOST}/statements/a-corrected-one"


def test_the_note_speaks_the_language_of_the_text_where_it_was_said_in_it(looker: Visitor) -> None:
    page = looker.see("/statements/a-corrected-one?lang=ar")
    assert page.css_first("html").attributes["dir"] == "rtl"
    assert [node.attributes["lang"] for node in page.css("aside.notice p[lang]")] == ["ar", "ar"]
    fallback = looker.see("/statements/a-corrected-one?lang=fa")
    spoken = fallback.css_first("aside.notice p[lang]")
    assert (spoken.attributes["lang"], spoken.attributes["dir"]) == ("en", "ltr")
    changed = fallback.css_first("section.changes div[lang]")
    assert (changed.attributes["lang"], changed.attributes["dir"]) == ("en", "ltr")


def test_a_retraction_leaves_title_date_and_reason(looker: Visitor) -> None:
    answer = looker.get("/statements/a-retracted-one")
    assert heading(answer).endswith("a-retracted-one")
    said = words(answer)
    assert "March 1, 2020" in said
    assert "Retracted on February 1, 2024" in said
    assert "Two of our sources were the same." in said
    assert "212" not in answer.text
    assert "a-retracted-one" in looker.get("/statements").text


def test_the_feed_is_updated_and_the_entry_stays_the_same(
    house: House, scene: Scene, visitor: Visitor, clock: Clock
) -> None:
    def entry() -> tuple[str, str, str]:
        feed = ElementTree.fromstring(visitor.get("/statements.atom").text)
        (found,) = [
            one
            for one in feed.iter(f"{ATOM}entry")
            if str(one.findtext(f"{ATOM}id")).endswith("prisoners-of-war")
        ]
        told = [str(found.findtext(f"{ATOM}{name}")) for name in ("id", "published", "updated")]
        return told[0], told[1], told[2]

    address, published, updated = entry()
    assert published == updated
    later = clock.now + timedelta(days=2)
    with house.database.write() as session:
        found = statements.find(session, "prisoners-of-war")
        draft = corrections.draft_retraction(session, found, reason="Wrong.", actor="test", now=later)
    assert entry() == (address, published, updated)  # a draft is nobody's business
    with house.database.write() as session:
        found = session.get_one(Statement, draft.statement_id)
        corrections.announce(session, session.merge(draft), found, actor="test", now=later)
    assert entry() == (address, published, later.isoformat())
