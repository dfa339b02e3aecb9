"""Sample facts for every kind of mail, shared by all tests that need a whole mail.

The people, places and addresses are made up. `Size.LONG` is as long as an editor would ever let
it become and holds every awkward letter; `Size.BARE` leaves out all that is optional.
"""

import dataclasses
import datetime as dt
from enum import StrEnum

from mailer.messages.catalogues import LANGUAGES, still_open
from mailer.messages.facts import (
    AskedFor,
    CampaignFacts,
    CancellationFacts,
    Change,
    ChangedThing,
    ChangeFacts,
    CorrectionFacts,
    DateFixedFacts,
    DigestEntry,
    DigestFacts,
    Facts,
    FollowUpFacts,
    OptInFacts,
    Organisation,
    PostponedFacts,
    RegistrationFacts,
    RegistrationRequestFacts,
    ReminderFacts,
    RetractionFacts,
    StatementFacts,
    SymposiumFacts,
    Tense,
    TranslationFacts,
    WaitingListFacts,
    WelcomeFacts,
    WithdrawalFacts,
)
from mailer.messages.slots import expand_placeholders
from mailer.messages.when import instant
from mailer.messages.words import end_words, in_words, offset_words, reader_line
from mailer.vocabulary import Frequency, MailingKind, Precision

ZONE = "America/New_York"
DAY = dt.date(2024, 9, 27)
NOON = dt.time(12)
LASTS = dt.timedelta(minutes=90)  # where an end was announced
_MOVED_TO = 13
TBA = {language: still_open(language, day_known=False) for language in LANGUAGES}


class Size(StrEnum):
    SHORT = "short"
    TYPICAL = "typical"
    LONG = "long"
    BARE = "bare"


STATEMENT_EN = """\
The Ararat Institute condemns the continued detention of prisoners of war eight months after the \
ceasefire. Both sides agreed in November 2020 to return everyone in their custody. One side has done so.

Those who came home tell of beatings with clubs and electric shocks. *“They told us nobody was looking \
for us,”* one of them said. Families still do not know who is alive.

## What the law says

The **Third Geneva Convention** protects prisoners of war “against acts of violence or intimidation”. \
It leaves no room for trials whose only purpose is a better place at the negotiating table.

We ask for three things:

1. the names of everyone who is held, within seven days;
2. visits by the [International Committee of the Red Cross](https://icrc.example.org/visits) to every place \
of detention;
3. the return of all prisoners, without conditions.

> Silence in the face of such illegality only encourages more of it.

We will go on counting. Please pass this statement on to those who can act on it.
"""

STATEMENT_AR = """\
يدين معهد أرارات استمرار احتجاز أسرى الحرب بعد ثمانية أشهر من وقف إطلاق النار. لقد اتفق الطرفان في \
نوفمبر 2020 على إعادة جميع المحتجزين، ولم يفِ بذلك سوى طرف واحد.

يروي العائدون ما تعرضوا له من ضرب وصدمات كهربائية. *«قالوا لنا إن أحدًا لا يبحث عنا»*، يقول أحدهم.

## ماذا يقول القانون

تحمي **اتفاقية جنيف الثالثة** أسرى الحرب «من أعمال العنف أو التهديد». ونحن نطالب بثلاثة أمور:

1. نشر أسماء جميع المحتجزين خلال سبعة أيام؛
2. زيارات [اللجنة الدولية للصليب الأحمر](https://icrc.example.org/visits) إلى جميع أماكن الاحتجاز؛
3. إعادة جميع الأسرى من دون شروط.

> إن الصمت أمام هذا الانتهاك لا يؤدي إلا إلى المزيد منه.
"""

STATEMENT_HY = """\
Արարատ ինստիտուտը դատապարտում է ռազմագերիների շարունակվող պահումը հրադադարից ութ ամիս անց։ 2020 թվականի \
նոյեմբերին երկու կողմերն էլ համաձայնել են վերադարձնել բոլոր պահվողներին։ Դա արել է միայն մեկը։

Տուն վերադարձածները պատմում են ծեծի և էլեկտրահարման մասին։ *«Մեզ ասում էին, թե ոչ ոք մեզ չի փնտրում»*, \
ասում է նրանցից մեկը։

## Ինչ է ասում օրենքը

**Ժնևի երրորդ կոնվենցիան** պաշտպանում է ռազմագերիներին «բռնությունից և ահաբեկումից»։ Մենք պահանջում ենք՝

1. հրապարակել բոլոր պահվողների անունները յոթ օրվա ընթացքում,
2. թույլ տալ [Կարմիր խաչի միջազգային կոմիտեի](https://icrc.example.org/visits) այցերը,
3. առանց պայմանների վերադարձնել բոլոր գերիներին։

> Լռությունը միայն նոր հանցագործությունների է մղում։
"""

_BODIES = {"en": STATEMENT_EN, "ar": STATEMENT_AR, "hy": STATEMENT_HY}
_TITLES = {
    "en": "Statement on the Continued Detention of Prisoners of War",
    "ar": "بيان بشأن استمرار احتجاز أسرى الحرب",
    "hy": "Հայտարարություն ռազմագերիների շարունակվող պահման մասին",
}
_LONG_TITLE = (
    "Stochastic v. Defined Intent: Femicide, Anti-Trans Genocide, and LGBTQ+ Hate in the Years Before "
    "<Kristallnacht> & After; “Never Again” as Unfulfilled_Promise"
)
_TABLE = """
: Reported detentions

| Month | Reported | Confirmed by two sources |
|---|---:|---|
| November 2020 | 212 | 60 |
| December 2020 | 188 | 44 |

# A heading of the first level

### One that skipped a level

Averylongwordwithoutanyplacetobreakitapartbecausesomeonepastedanidentifierlikethisone_0123456789.

Write to <press@example.org> or see our [report of the year](https://www.example.org/a/very/long/path/that/\
does/not/fit/into/one/line).
"""

CAMPAIGN_EN = """\
Dear ((first_name)),

on **December 9** we remember the victims of genocide. This year the evening is in Yerevan, and it is \
[streamed for everyone](https://www.example.org/evening).

## What we ask of you

- Bring one person who has never been.
- Read one name aloud.

Thank you, ((first_name)), for staying with us.
"""


def organisation(size: Size = Size.TYPICAL) -> Organisation:
    if size is Size.SHORT or size is Size.BARE:
        return Organisation(
            name="Ararat Institute",
            postal_address="1 Example Street, Yerevan",
            site_url="https://www.example.org/",
            contact_address="office@example.org",
        )
    if size is Size.LONG:
        return Organisation(
            name="Ararat Institute for the Documentation & Prevention of Genocide and Crimes Against All",
            postal_address="c/o Association of Friends of the Institute\n1234 Example Avenue, Suite 5678\n"
            "New York, NY 10001\nUnited States of America",
            site_url="https://www.ararat-institute-for-the-prevention-of-genocide.example.org/en/",
            contact_address="questions-and-corrections@ararat-institute-for-prevention.example.org",
            imprint="501(c)(3) nonprofit organization, EIN 00-0000000\nResponsible: A. Example <Director>",
        )
    return Organisation(
        name="Ararat Institute for Genocide Prevention",
        postal_address="1234 Example Avenue\nNew York, NY 10001, USA",
        site_url="https://www.example.org/",
        contact_address="office@example.org",
        imprint="501(c)(3) nonprofit organization, EIN 00-0000000",
    )


def symposium(language: str, size: Size = Size.TYPICAL, *, hour: int = 12) -> SymposiumFacts:
    """A symposium with an English title, its time worded in `language`."""
    if size is Size.BARE:
        return SymposiumFacts(
            title="Online Global Youth Summit",
            when=in_words(
                Precision.DATE, day=DAY, time=None, zone=ZONE, language=language, tba="time to be announced"
            ),
            page_url="https://www.example.org/symposia/youth-summit",
            language="en",
        )
    starts = instant(DAY, dt.time(hour), ZONE)
    titles = {Size.SHORT: "Law", Size.LONG: _LONG_TITLE}
    return SymposiumFacts(
        title=titles.get(size, "Restorative Justice & Genocide Prevention"),
        series="Year of Prevention" if size is not Size.SHORT else None,
        when=in_words(
            Precision.DATETIME,
            day=DAY,
            time=dt.time(hour),
            zone=ZONE,
            language=language,
            tba="",
            with_offset=True,
            ends_at=None if size is Size.LONG else starts + LASTS,
        ),
        offset=offset_words(starts, ZONE),
        where="Online"
        if size is not Size.LONG
        else "Room B-12, House of Human Rights (3rd floor), and online",
        page_url="https://www.example.org/symposia/restorative-justice",
        calendar_url="https://www.example.org/symposia/restorative-justice.ics"
        if size is not Size.SHORT
        else None,
        converter_url="https://www.example.org/time/restorative-justice" if size is not Size.SHORT else None,
        end_assumed=size is Size.LONG,
        language="en",
    )


def _without_calendar(language: str, size: Size) -> SymposiumFacts:
    return dataclasses.replace(symposium(language, size), calendar_url=None, end_assumed=False)


def _statement(language: str, size: Size) -> StatementFacts:
    written = language if language in _BODIES else "en"
    title, body = _TITLES[written], _BODIES[written]
    if size is Size.SHORT:
        title, body, written = "No.", "No.", "en"
    elif size is Size.LONG:
        title, body, written = _LONG_TITLE, STATEMENT_EN * 5 + _TABLE, "en"
    return StatementFacts(
        title=title,
        published_on=dt.date(2021, 7, 17),
        body=body,
        body_language=written,
        url="https://www.example.org/statements/prisoners-of-war",
        topic_name="Law" if size is Size.SHORT else "Statements",
        fallback=written != language,
    )


def _digest(language: str, size: Size) -> DigestFacts:
    """Statements of which some may be in another language than the mail; the last was told of before."""
    own = language if language in _BODIES else "en"
    written = [own, "en", "ar", own]
    if size is Size.SHORT:
        written = ["en"]
    if size is Size.BARE:
        written = written[:1]
    if size is Size.LONG:
        written = ["en", *written[:3]] * 9
    entries = tuple(
        DigestEntry(
            title=f"{_LONG_TITLE if size is Size.LONG and place % 4 == 0 else _TITLES[code]} ({place + 1})",
            published_on=DAY - dt.timedelta(days=place),
            body="No." if size is Size.SHORT else _BODIES[code],
            body_language=code,
            url=f"https://www.example.org/statements/prisoners-of-war-{place + 1}",
            fallback=code != language,
            again=len(written) > 1 and place == len(written) - 1,
        )
        for place, code in enumerate(written)
    )
    return DigestFacts(
        frequency=Frequency.DAILY if size is Size.SHORT else Frequency.WEEKLY,
        day=DAY,
        entries=entries,
        topic_name="Law" if size is Size.SHORT else "Statements",
        archive_url="https://www.example.org/statements",
    )


_WRONG = {
    "en": "We wrote that 212 people were held in November 2020.",
    "ar": "كتبنا أن 212 شخصًا كانوا محتجزين في نوفمبر 2020.",
    "hy": "Գրել էինք, որ 2020 թվականի նոյեմբերին պահվում էր 212 մարդ։",
}
_RIGHT = {
    "en": "It was 188. The higher number counted 24 names twice.",
    "ar": "كان العدد 188، فقد احتُسب 24 اسمًا مرتين.",
    "hy": "Պահվում էր 188 մարդ. 24 անուն հաշվվել էր երկու անգամ։",
}


def _correction(language: str, size: Size) -> CorrectionFacts:
    statement = _statement(language, size)
    repeated = 8 if size is Size.LONG else 1
    return CorrectionFacts(
        **vars(statement),
        wrong=" ".join([_WRONG[statement.body_language]] * repeated),
        right=" ".join([_RIGHT[statement.body_language]] * repeated),
        alone=size is Size.SHORT,
    )


def _retraction(language: str, size: Size) -> RetractionFacts:
    statement = _statement(language, size)
    return RetractionFacts(
        title=statement.title,
        body_language=statement.body_language,
        published_on=statement.published_on,
        reason=" ".join([_WRONG[statement.body_language]] * (8 if size is Size.LONG else 1)),
        language=statement.body_language,
        url=statement.url,
        topic_name=statement.topic_name,
    )


def _campaign(language: str, size: Size) -> CampaignFacts:
    allowed = frozenset({"first_name"})
    subject = "An evening of remembrance on December 9"
    body = CAMPAIGN_EN
    if size is Size.SHORT:
        subject, body = "Thank you.", "Thank you."
    elif size is Size.LONG:
        subject, body = (
            "((first_name)), here is <everything> we did & learned this year, 2024",
            CAMPAIGN_EN * 5 + _TABLE,
        )
    return CampaignFacts(
        subject=expand_placeholders(subject, allowed),
        body=expand_placeholders(body, allowed),
        body_language="en",
        topic_name="News of the institute",
        view_url=None if size is Size.BARE else "https://www.example.org/mailings/9",
        fallback=size is not Size.BARE and language != "en",
    )


def _change(language: str, size: Size) -> ChangeFacts:
    now = symposium(language, size, hour=_MOVED_TO)
    if size is Size.BARE:
        return ChangeFacts(
            symposium=now,
            changes=(Change(what=ChangedThing.JOINING, old=None, new="A new link on the page"),),
            waiting=True,
        )
    if size is Size.SHORT:
        starts = instant(DAY, dt.time(_MOVED_TO), ZONE)
        ends = (end_words(starts, starts + lasts, ZONE, language) for lasts in (dt.timedelta(hours=1), LASTS))
        return ChangeFacts(
            symposium=now, changes=(Change(what=ChangedThing.END, old=next(ends), new=next(ends)),)
        )
    before = symposium(language, size)
    changes: tuple[Change, ...] = ()
    if size is Size.LONG:
        changes = (
            Change(what=ChangedThing.TITLE, old="Femicide & Hate", new=now.title),
            Change(what=ChangedThing.PLACE, old="Room A-1", new=now.where or "Online"),
            Change(what=ChangedThing.JOINING, old="By telephone", new="By the link on the symposium’s page"),
        )
    return ChangeFacts(symposium=now, old_when=before.when, old_local=True, changes=changes)


def facts(kind: MailingKind, language: str, size: Size = Size.TYPICAL) -> Facts:
    """Facts of the kind, as they would reach a mail in `language`."""
    match kind:
        case MailingKind.STATEMENT_ALERT:
            return _statement(language, size)
        case MailingKind.DIGEST:
            return _digest(language, size)
        case MailingKind.CORRECTION:
            return _correction(language, size)
        case MailingKind.RETRACTION:
            return _retraction(language, size)
        case MailingKind.TRANSLATION:
            return TranslationFacts(**vars(_statement(language, size)))
        case MailingKind.REGISTRATION_CONFIRMATION:
            return RegistrationFacts(
                symposium=symposium(language, size),
                joining=size is Size.LONG,
                promoted=size is Size.LONG,
                tense=Tense.UNDER_WAY if size is Size.LONG else Tense.BEFORE,
            )
        case MailingKind.REGISTRATION_REQUEST:
            asked = 3 if size is Size.LONG else 1
            one = symposium(language, size)
            tense = Tense.UNDER_WAY if size is Size.LONG else Tense.BEFORE
            wanted = AskedFor(title=one.title, when=one.when, language=one.language, tense=tense)
            return RegistrationRequestFacts(symposia=(wanted,) * asked)
        case MailingKind.WAITING_LIST:
            return WaitingListFacts(symposium=_without_calendar(language, size))
        case MailingKind.WITHDRAWAL:
            invited = size is not Size.SHORT
            return WithdrawalFacts(symposium=_without_calendar(language, size), invited=invited)
        case MailingKind.REMINDER:
            leads = {Size.SHORT: "1h", Size.LONG: "45m", Size.BARE: "2w"}
            tense = Tense.UNDER_WAY if size is Size.LONG else Tense.BEFORE
            return ReminderFacts(symposium=symposium(language, size), lead=leads.get(size, "1d"), tense=tense)
        case MailingKind.CHANGE:
            return _change(language, size)
        case MailingKind.DATE_FIXED:
            return DateFixedFacts(symposium=symposium(language, size), waiting=size is Size.BARE)
        case MailingKind.POSTPONED:
            tba = SymposiumFacts(
                title=symposium(language, size).title,
                when=in_words(
                    Precision.MONTH, day=DAY, time=None, zone=ZONE, language=language, tba=TBA[language]
                ),
                page_url="https://www.example.org/symposia/restorative-justice",
                language="en",
            )
            old = None if size is Size.BARE else symposium(language).when
            return PostponedFacts(
                symposium=tba, old_when=old, old_local=old is not None, waiting=size is Size.BARE
            )
        case MailingKind.FOLLOW_UP:
            came = {Size.SHORT: True, Size.LONG: False}.get(size)
            recording = None if size is Size.BARE else "https://www.example.org/recordings/7"
            return FollowUpFacts(symposium=symposium(language, size), came=came, recording_url=recording)
        case MailingKind.CANCELLATION:
            reasons = {Size.BARE: None, Size.LONG: "Two of our three speakers were refused a visa. " * 6}
            return CancellationFacts(
                symposium=symposium(language, size), reason=reasons.get(size, "The speaker has fallen ill.")
            )
        case MailingKind.CAMPAIGN:
            return _campaign(language, size)
        case MailingKind.OPT_IN:
            return OptInFacts(topic_name="Law" if size is Size.SHORT else "Statements", valid_hours=72)
        case MailingKind.WELCOME:
            names = (
                tuple(f"Topic {number} <& more>" for number in range(12))
                if size is Size.LONG
                else ("Statements",)
            )
            return WelcomeFacts(topic_names=names)


def values(kind: MailingKind, language: str, *, name: str = "Anahit") -> dict[str, str]:
    """A reader in Yerevan: a value for every slot a template may hold."""
    starts = instant(DAY, dt.time(_MOVED_TO if kind is MailingKind.CHANGE else NOON.hour), ZONE)
    before = instant(DAY, NOON, ZONE)
    return {
        "first_name": name,
        "local_time": reader_line(starts, ZONE, "Asia/Yerevan", language, starts + LASTS) or "",
        "old_local_time": reader_line(before, ZONE, "Asia/Yerevan", language, before + LASTS) or "",
        "unsubscribe_url": "https://www.example.org/u/ddf2b2kq5v7wq3p6",
        "preferences_url": "https://www.example.org/p/ddf2b2kq5v7wq3p6",
        "confirm_url": "https://www.example.org/c/ddf2b2kq5v7wq3p6",
        "attend_url": "https://www.example.org/attend/ddf2b2kq5v7wq3p6",
        "join_url": "https://www.example.org/j/ddf2b2kq5v7wq3p6",
        "registration_url": "https://www.example.org/r/ddf2b2kq5v7wq3p6",
    }
