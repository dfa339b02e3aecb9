"""Times in words: golden lines in eight languages, and what no line may ever say."""

import datetime as dt
import re
import unicodedata
import zoneinfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.messages.when import UnknownZone, instant, is_zone
from mailer.messages.words import (
    city_words,
    day_words,
    end_words,
    in_words,
    offset_words,
    reader_line,
    zone_words,
)
from mailer.vocabulary import Precision

NEW_YORK = "America/New_York"
LANGUAGES = ("en", "es", "fr", "ar", "hy", "uk", "fa", "zh")
DAY = dt.date(2024, 9, 27)
NOON = dt.time(12)
STARTS = instant(DAY, NOON, NEW_YORK)
LASTS = dt.timedelta(minutes=90)


def event_line(language, *, day=DAY, time=NOON, zone=NEW_YORK, with_offset=False, lasts=None):
    return in_words(
        Precision.DATETIME,
        day=day, time=time, zone=zone, language=language, tba="", with_offset=with_offset,
        ends_at=None if lasts is None else instant(day, time, zone) + lasts,
    )  # fmt: skip


EVENT = {
    "en": "Friday, September 27, 2024, 12 noon Eastern Time (New York)",
    "es": "viernes, 27 de septiembre de 2024, 12:00, hora oriental (Nueva York)",
    "fr": "vendredi 27 septembre 2024 à 12:00, heure de l’Est nord-américain (New York)",
    "ar": "الجمعة، 27 سبتمبر 2024، 12:00 ظهرًا، التوقيت الشرقي لأمريكا الشمالية (نيويورك)",
    "hy": "2024 թ. սեպտեմբերի 27, ուրբաթ, 12:00, Արևելյան Ամերիկայի ժամանակ (Նյու Յորք)",
    "uk": "пʼятниця, 27 вересня 2024 р., 12:00 за північноамериканським східним часом (Нью-Йорк)",
    "fa": "جمعه ۲۷ سپتامبر ۲۰۲۴، ساعت ۱۲:۰۰، وقت شرق امریکا (نیویورک)",
    "zh": "2024年9月27日星期五 12:00 北美东部时间（纽约）",
}
YEREVAN = {
    "en": "Yerevan: 20:00, Friday, September 27",
    "es": "Ereván: 20:00, viernes, 27 de septiembre",
    "fr": "Erevan\u00a0: 20:00, vendredi 27 septembre",
    "ar": "يريفان: 20:00، الجمعة، 27 سبتمبر",
    "hy": "Երևան՝ 20:00, սեպտեմբերի 27, ուրբաթ",
    "uk": "Єреван: 20:00, пʼятниця, 27 вересня",
    "fa": "ایروان: ۲۰:۰۰، جمعه ۲۷ سپتامبر",
    "zh": "埃里温：9月27日星期五 20:00",
}
UTC_LINE = {
    "en": "UTC: 16:00, Friday, September 27",
    "es": "UTC: 16:00, viernes, 27 de septiembre",
    "fr": "UTC\u00a0: 16:00, vendredi 27 septembre",
    "ar": "توقيت UTC: 16:00، الجمعة، 27 سبتمبر",
    "hy": "UTC՝ 16:00, սեպտեմբերի 27, ուրբաթ",
    "uk": "UTC: 16:00, пʼятниця, 27 вересня",
    "fa": "وقت UTC: ۱۶:۰۰، جمعه ۲۷ سپتامبر",
    "zh": "UTC：9月27日星期五 16:00",
}
MONTH = {
    "en": "December 2024 (date to be announced)",
    "es": "diciembre de 2024 (fecha por anunciar)",
    "fr": "décembre 2024 (date à venir)",
    "ar": "ديسمبر 2024 (يُعلن التاريخ لاحقًا)",
    "hy": "2024 թ. դեկտեմբեր (օրը կհայտարարվի)",
    "uk": "грудень 2024 (дату буде оголошено)",
    "fa": "دسامبر ۲۰۲۴ (تاریخ اعلام خواهد شد)",
    "zh": "2024年12月（日期待定）",
}
EVENING_WITH_OFFSET = {
    "en": "Friday, November 15, 2024, 7:05 PM Eastern Time (New York, UTC-5)",
    "es": "viernes, 15 de noviembre de 2024, 19:05, hora oriental (Nueva York, UTC-5)",
    "fr": "vendredi 15 novembre 2024 à 19:05, heure de l’Est nord-américain (New York, UTC-5)",
    "ar": "الجمعة، 15 نوفمبر 2024، 19:05، التوقيت الشرقي لأمريكا الشمالية (نيويورك، UTC-5)",
    "hy": "2024 թ. նոյեմբերի 15, ուրբաթ, 19:05, Արևելյան Ամերիկայի ժամանակ (Նյու Յորք, UTC-5)",
    "uk": "пʼятниця, 15 листопада 2024 р., 19:05 за північноамериканським східним часом (Нью-Йорк, UTC-5)",
    "fa": "جمعه ۱۵ نوامبر ۲۰۲۴، ساعت ۱۹:۰۵، وقت شرق امریکا (نیویورک، UTC-5)",
    "zh": "2024年11月15日星期五 19:05 北美东部时间（纽约，UTC-5）",
}

EVENT_UNTIL = {
    "en": "Friday, September 27, 2024, 12 noon to 1:30 PM Eastern Time (New York)",
    "es": "viernes, 27 de septiembre de 2024, de 12:00 a 13:30, hora oriental (Nueva York)",
    "fr": "vendredi 27 septembre 2024 de 12:00 à 13:30, heure de l’Est nord-américain (New York)",
    "ar": "الجمعة، 27 سبتمبر 2024، من 12:00 ظهرًا إلى 13:30، التوقيت الشرقي لأمريكا الشمالية (نيويورك)",
    "hy": "2024 թ. սեպտեմբերի 27, ուրբաթ, 12:00–13:30, Արևելյան Ամերիկայի ժամանակ (Նյու Յորք)",
    "uk": "пʼятниця, 27 вересня 2024 р., 12:00–13:30 за північноамериканським східним часом (Нью-Йорк)",
    "fa": "جمعه ۲۷ سپتامبر ۲۰۲۴، از ساعت ۱۲:۰۰ تا ۱۳:۳۰، وقت شرق امریکا (نیویورک)",
    "zh": "2024年9月27日星期五 12:00至13:30 北美东部时间（纽约）",
}
YEREVAN_UNTIL = {
    "en": "Yerevan: 20:00 to 21:30, Friday, September 27",
    "es": "Ereván: de 20:00 a 21:30, viernes, 27 de septiembre",
    "fr": "Erevan\u00a0: de 20:00 à 21:30, vendredi 27 septembre",
    "ar": "يريفان: من 20:00 إلى 21:30، الجمعة، 27 سبتمبر",
    "hy": "Երևան՝ 20:00–21:30, սեպտեմբերի 27, ուրբաթ",
    "uk": "Єреван: 20:00–21:30, пʼятниця, 27 вересня",
    "fa": "ایروان: از ۲۰:۰۰ تا ۲۱:۳۰، جمعه ۲۷ سپتامبر",
    "zh": "埃里温：9月27日星期五 20:00至21:30",
}
EVENT_ACROSS = {
    "en": "Friday, September 27, 2024, 11:30 PM to Saturday, September 28, 2024, 1:00 AM"
    " Eastern Time (New York)",
    "es": "viernes, 27 de septiembre de 2024, 23:30 – sábado, 28 de septiembre de 2024, 01:00"
    ", hora oriental (Nueva York)",
    "fr": "vendredi 27 septembre 2024 à 23:30 – samedi 28 septembre 2024 à 01:00"
    ", heure de l’Est nord-américain (New York)",
    "ar": "الجمعة، 27 سبتمبر 2024، 23:30 حتى السبت، 28 سبتمبر 2024، 01:00"
    "، التوقيت الشرقي لأمريكا الشمالية (نيويورك)",
    "hy": "2024 թ. սեպտեմբերի 27, ուրբաթ, 23:30 – 2024 թ. սեպտեմբերի 28, շաբաթ, 01:00"
    ", Արևելյան Ամերիկայի ժամանակ (Նյու Յորք)",
    "uk": "пʼятниця, 27 вересня 2024 р., 23:30 – субота, 28 вересня 2024 р., 01:00"
    " за північноамериканським східним часом (Нью-Йорк)",
    "fa": "جمعه ۲۷ سپتامبر ۲۰۲۴، ساعت ۲۳:۳۰ تا شنبه ۲۸ سپتامبر ۲۰۲۴، ساعت ۰۱:۰۰، وقت شرق امریکا (نیویورک)",
    "zh": "2024年9月27日星期五 23:30至2024年9月28日星期六 01:00 北美东部时间（纽约）",
}
YEREVAN_ACROSS = {
    "en": "Yerevan: 23:00, Friday, September 27 to 00:30, Saturday, September 28",
    "es": "Ereván: 23:00, viernes, 27 de septiembre – 00:30, sábado, 28 de septiembre",
    "fr": "Erevan\u00a0: 23:00, vendredi 27 septembre – 00:30, samedi 28 septembre",
    "ar": "يريفان: 23:00، الجمعة، 27 سبتمبر حتى 00:30، السبت، 28 سبتمبر",
    "hy": "Երևան՝ 23:00, սեպտեմբերի 27, ուրբաթ – 00:30, սեպտեմբերի 28, շաբաթ",
    "uk": "Єреван: 23:00, пʼятниця, 27 вересня – 00:30, субота, 28 вересня",
    "fa": "ایروان: ۲۳:۰۰، جمعه ۲۷ سپتامبر تا ۰۰:۳۰، شنبه ۲۸ سپتامبر",
    "zh": "埃里温：9月27日星期五 23:00至9月28日星期六 00:30",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_golden_lines(language):
    assert event_line(language) == EVENT[language]
    assert reader_line(STARTS, NEW_YORK, "Asia/Yerevan", language) == YEREVAN[language]
    assert reader_line(STARTS, NEW_YORK, None, language) == UTC_LINE[language]
    evening = event_line(language, day=dt.date(2024, 11, 15), time=dt.time(19, 5), with_offset=True)
    assert evening == EVENING_WITH_OFFSET[language]


@pytest.mark.parametrize("language", LANGUAGES)
def test_golden_lines_with_an_announced_end(language):
    late = dt.time(23, 30)
    assert event_line(language, lasts=LASTS) == EVENT_UNTIL[language]
    assert event_line(language, time=late, lasts=LASTS) == EVENT_ACROSS[language]
    assert reader_line(STARTS, NEW_YORK, "Asia/Yerevan", language, STARTS + LASTS) == YEREVAN_UNTIL[language]
    starts = instant(DAY, dt.time(15), NEW_YORK)  # 23:00 in Yerevan: it ends on the next day there
    assert reader_line(starts, NEW_YORK, "Asia/Yerevan", language, starts + LASTS) == YEREVAN_ACROSS[language]


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_end_alone_names_its_day_where_that_is_another(language):
    starts = instant(DAY, dt.time(23, 30), NEW_YORK)
    same, other = (
        end_words(STARTS, STARTS + LASTS, NEW_YORK, language),
        end_words(starts, starts + LASTS, NEW_YORK, language),
    )
    assert same in EVENT_UNTIL[language]
    assert other in EVENT_ACROSS[language]
    assert day_words(DAY + dt.timedelta(days=1), language) in other


def test_an_end_on_the_clocks_of_its_own_day():
    """The clocks go back between the two: an hour more passes than they show."""
    line = event_line("en", day=dt.date(2024, 11, 2), time=dt.time(23), lasts=dt.timedelta(hours=4))
    assert line == (
        "Saturday, November 2, 2024, 11:00 PM to Sunday, November 3, 2024, 2:00 AM Eastern Time (New York)"
    )
    new_year = instant(dt.date(2024, 12, 31), dt.time(15), NEW_YORK)
    assert reader_line(new_year, NEW_YORK, "Asia/Yerevan", "en", new_year + dt.timedelta(hours=1)) == (
        "Yerevan: 00:00 to 01:00, Wednesday, January 1, 2025"
    )
    assert reader_line(STARTS, NEW_YORK, "America/Toronto", "en", STARTS + LASTS) is None


@pytest.mark.parametrize("language", ["ar", "fa"])
def test_two_times_that_run_leftward_have_a_word_between_them(language):
    for line in (EVENT_UNTIL, EVENT_ACROSS, YEREVAN_UNTIL, YEREVAN_ACROSS):
        assert not re.search("[-–—]", line[language])
        assert unicodedata.bidirectional(line[language][0]) == "AL"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_month_stands_in_its_basic_form_with_the_remark(language):
    remark = re.search(r"[(（](.+)[)）]", MONTH[language]).group(1)
    said = in_words(
        Precision.MONTH, day=dt.date(2024, 12, 1), time=None, zone=NEW_YORK, language=language, tba=remark
    )
    assert said == MONTH[language]


def test_less_than_a_month_and_a_day_without_an_hour():
    facts = {"time": None, "zone": NEW_YORK, "language": "en"}
    assert in_words(Precision.DATE, day=DAY, tba="time to be announced", **facts) == (
        "Friday, September 27, 2024 (time to be announced)"
    )
    assert (
        in_words(Precision.YEAR, day=DAY, tba="date to be announced", **facts)
        == "2024 (date to be announced)"
    )
    assert in_words(Precision.NONE, day=None, tba="Date to be announced", **facts) == "Date to be announced"


@pytest.mark.parametrize(
    ("zone", "day", "line"),
    [
        ("Asia/Yerevan", "2024-02-23", "Yerevan: 21:00, Friday, February 23"),
        ("Asia/Yerevan", "2024-09-27", "Yerevan: 20:00, Friday, September 27"),
        ("Europe/Kyiv", "2024-03-08", "Kyiv: 19:00, Friday, March 8"),
        ("Europe/Kyiv", "2024-03-22", "Kyiv: 18:00, Friday, March 22"),
        ("Europe/Kyiv", "2024-11-01", "Kyiv: 18:00, Friday, November 1"),
        ("Australia/Sydney", "2024-03-22", "Sydney: 03:00, Saturday, March 23"),
        ("Australia/Sydney", "2024-11-15", "Sydney: 04:00, Saturday, November 16"),
        ("Asia/Kathmandu", "2024-11-15", "Kathmandu: 22:45, Friday, November 15"),
    ],
)
def test_the_readers_line_follows_the_offset_of_the_date(zone, day, line):
    starts = instant(dt.date.fromisoformat(day), NOON, NEW_YORK)
    assert reader_line(starts, NEW_YORK, zone, "en") == line


def test_nothing_is_said_twice():
    assert reader_line(STARTS, NEW_YORK, NEW_YORK, "en") is None
    assert reader_line(STARTS, NEW_YORK, "America/Toronto", "en") is None
    in_utc = instant(DAY, NOON, "UTC")
    assert reader_line(in_utc, "UTC", None, "en") is None


def test_an_unknown_zone_of_the_reader_is_never_guessed():
    for zone in (None, "", "EST", "Mars/Olympus"):
        assert reader_line(STARTS, NEW_YORK, zone, "uk") == UTC_LINE["uk"]
    with pytest.raises(UnknownZone):
        reader_line(STARTS, "EST", "Asia/Yerevan", "en")


@pytest.mark.parametrize("language", ["ar", "fa"])
def test_a_line_that_runs_leftward_begins_with_a_letter_that_says_so(language):
    """Plain text has no other way to say its direction than its first letter."""
    for zone in (None, "Asia/Yerevan", "Australia/Sydney", "Europe/Kyiv"):
        line = reader_line(STARTS, NEW_YORK, zone, language)
        assert unicodedata.bidirectional(line[0]) == "AL"


def test_the_year_is_said_when_the_readers_calendar_has_another():
    starts = instant(dt.date(2024, 12, 31), NOON, NEW_YORK)
    assert (
        reader_line(starts, NEW_YORK, "Australia/Sydney", "en") == "Sydney: 04:00, Wednesday, January 1, 2025"
    )
    assert reader_line(starts, NEW_YORK, "Asia/Yerevan", "en") == "Yerevan: 21:00, Tuesday, December 31"


def test_noon_of_the_reader_is_in_words_too():
    starts = instant(DAY, dt.time(4), NEW_YORK)
    assert reader_line(starts, NEW_YORK, "Asia/Yerevan", "en") == "Yerevan: 12 noon, Friday, September 27"


@pytest.mark.parametrize(
    ("time", "said"),
    [
        ((0, 0), "00:00"),
        ((0, 30), "00:30"), ((1, 0), "1:00 AM"), ((11, 59), "11:59 AM"), ((12, 0), "12 noon"),
        ((12, 30), "12:30 in the afternoon"), ((13, 0), "1:00 PM"), ((23, 59), "11:59 PM"),
    ],
)  # fmt: skip
def test_english_hours(time, said):
    assert (
        event_line("en", time=dt.time(*time)) == f"Friday, September 27, 2024, {said} Eastern Time (New York)"
    )


@settings(max_examples=300, deadline=None)  # the first call loads names and zones
@given(
    time=st.times().map(lambda time: time.replace(second=0, microsecond=0)),
    language=st.sampled_from(LANGUAGES),
    zone=st.sampled_from(sorted(filter(is_zone, zoneinfo.available_timezones()))),
    with_offset=st.booleans(),
    lasts=st.timedeltas(dt.timedelta(minutes=1), dt.timedelta(days=2)),
)
def test_no_line_is_ambiguous(time, language, zone, with_offset, lasts):
    starts = instant(DAY, time, NEW_YORK)
    for line in (
        event_line(language, time=time, zone=zone, with_offset=with_offset, lasts=lasts),
        reader_line(starts, NEW_YORK, zone, language, starts + lasts) or "",
        end_words(starts, starts + lasts, zone, language),
        event_line(language, time=time, with_offset=with_offset),
        event_line(language, time=time, zone=zone, with_offset=with_offset),
        reader_line(starts, NEW_YORK, zone, language) or "",
    ):
        assert not re.search(r"(?<![\d:])12(:\d\d)?\s*[ap]\.?\s?m", line, re.IGNORECASE)
        assert "\u202f" not in line
        assert "{" not in line
        assert not re.search(r"\b(EST|EDT|HEE|HNE)\b|[+-]\d{4}", line)


def test_a_skipped_time_is_said_as_the_time_it_is_shifted_to():
    line = event_line("en", day=dt.date(2024, 3, 10), time=dt.time(2, 30), with_offset=True)
    assert line == "Sunday, March 10, 2024, 3:30 AM Eastern Time (New York, UTC-4)"


@pytest.mark.parametrize(
    ("zone", "day", "said"),
    [
        (NEW_YORK, "2024-09-27", "UTC-4"), (NEW_YORK, "2024-11-15", "UTC-5"),
        ("Asia/Yerevan", "2024-09-27", "UTC+4"),
        ("Asia/Kolkata", "2024-09-27", "UTC+5:30"), ("America/St_Johns", "2024-11-15", "UTC-3:30"),
        ("Asia/Kathmandu", "2024-11-15", "UTC+5:45"), ("Europe/London", "2024-11-15", "UTC"),
        ("UTC", "2024-11-15", "UTC"),
    ],
)  # fmt: skip
def test_offsets(zone, day, said):
    assert offset_words(instant(dt.date.fromisoformat(day), NOON, zone), zone) == said


@pytest.mark.parametrize(
    ("zone", "language", "said"),
    [
        ("UTC", "en", "Coordinated Universal Time (UTC)"),
        ("Asia/Yerevan", "en", "Armenia Time (Yerevan)"),
        ("Europe/Kyiv", "uk", "за східноєвропейським часом (Київ)"),
        ("Europe/Kiev", "uk", "за східноєвропейським часом (Київ)"),
        ("US/Eastern", "en", "Eastern Time (New York)"),
        ("Asia/Almaty", "en", "Kazakhstan (Almaty) Time"),
    ],
)
def test_zones_in_words(zone, language, said):
    assert zone_words(zone, language) == said


def test_ukrainian_zone_names_that_are_no_adverbs_take_a_comma():
    line = event_line("uk", zone="Asia/Kolkata", with_offset=True)
    assert line == "пʼятниця, 27 вересня 2024 р., 12:00, час: Індія (Колката, UTC+5:30)"


def test_utc_as_the_zone_of_an_event_names_its_offset_once():
    line = event_line("en", zone="UTC", with_offset=True)
    assert line == "Friday, September 27, 2024, 12 noon Coordinated Universal Time (UTC)"


@pytest.mark.parametrize(
    ("zone", "cities"),
    [
        ("Asia/Yerevan", ["Yerevan", "Ereván", "Erevan", "يريفان", "Երևան", "Єреван", "ایروان", "埃里温"]),
        ("Europe/Kyiv", ["Kyiv", "Kiev", "Kiev", "كييف", "Կիև", "Київ", "کیف", "基辅"]),
        (
            "Asia/Kolkata",
            ["Kolkata", "Calcuta", "Calcutta", "كالكتا", "Կալկուտա", "Колката", "کلکته", "加尔各答"],
        ),
    ],
)
def test_cities_are_known_by_their_present_name(zone, cities):
    assert [city_words(zone, language) for language in LANGUAGES] == cities


def test_a_date_alone():
    assert day_words(dt.date(2021, 7, 17), "en") == "Saturday, July 17, 2021"
    assert day_words(dt.date(2021, 7, 17), "fa") == "شنبه ۱۷ ژوئیهٔ ۲۰۲۱"
    assert day_words(dt.date(2024, 5, 1), "fr") == "mercredi 1er mai 2024"
    assert day_words(dt.date(2024, 5, 11), "fr") == "samedi 11 mai 2024"


def test_missing_parts_are_refused():
    facts = {"zone": NEW_YORK, "language": "en"}
    with pytest.raises(ValueError, match="its day and its time"):
        in_words(Precision.DATETIME, day=DAY, time=None, tba="", **facts)
    with pytest.raises(ValueError, match="remark"):
        in_words(Precision.MONTH, day=DAY, time=None, tba="", **facts)
    with pytest.raises(ValueError, match="a day of that month"):
        in_words(Precision.MONTH, day=None, time=None, tba="date to be announced", **facts)
    with pytest.raises(ValueError, match="language 'de'"):
        day_words(DAY, "de")
    with pytest.raises(ValueError, match="without a zone"):
        reader_line(dt.datetime(2024, 9, 27, 12), NEW_YORK, None, "en")
