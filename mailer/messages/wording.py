"""How each of the eight languages joins the parts of a time: tables for words.py, which uses CLDR for names.

The patterns set only what CLDR leaves open.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Wording:
    """How one language joins the parts. Patterns are CLDR date patterns and format strings."""

    day: str
    day_without_year: str
    month: str
    year: str = "y"
    event: str = "{date}, {time}, {zone}"
    moment: str = "{date}, {time}"
    reader: str = "{city}: {time}, {date}"
    zone: str = "{name} ({inner})"
    inner_comma: str = ", "
    aside: str = "{text} ({aside})"
    noon: str = "12:00"
    digits: str = "0123456789"
    utc: str = "UTC"  # as the label of a line; begins with a letter of the language where it runs leftward


WORDING = {
    "en": Wording(
        day="EEEE, MMMM d, y",
        day_without_year="EEEE, MMMM d",
        month="LLLL y",
        event="{date}, {time} {zone}",
        noon="12 noon",
    ),
    "es": Wording(day="EEEE, d 'de' MMMM 'de' y", day_without_year="EEEE, d 'de' MMMM", month="LLLL 'de' y"),
    "fr": Wording(
        day="EEEE d MMMM y",
        day_without_year="EEEE d MMMM",
        month="LLLL y",
        event="{date} à {time}, {zone}",
        moment="{date} à {time}",
        reader="{city}\u00a0: {time}, {date}",
    ),
    "ar": Wording(
        day="EEEE، d MMMM y",
        day_without_year="EEEE، d MMMM",
        month="LLLL y",
        event="{date}، {time}، {zone}",
        moment="{date}، {time}",
        reader="{city}: {time}، {date}",
        inner_comma="، ",
        noon="12:00 ظهرًا",
        utc="توقيت UTC",
    ),
    "hy": Wording(
        day="y թ. MMMM d, EEEE",
        day_without_year="MMMM d, EEEE",
        month="y թ. LLLL",
        year="y թ.",
        reader="{city}՝ {time}, {date}",
    ),
    "uk": Wording(
        day="EEEE, d MMMM y 'р'.",
        day_without_year="EEEE, d MMMM",
        month="LLLL y",
        year="y 'р'.",
        event="{date}, {time} {zone}",
    ),
    "fa": Wording(
        day="EEEE d MMMM y",
        day_without_year="EEEE d LLLL",  # without the ezafe that binds a month to its year
        month="LLLL y",
        event="{date}، ساعت {time}، {zone}",
        moment="{date}، ساعت {time}",
        reader="{city}: {time}، {date}",
        inner_comma="، ",
        digits="۰۱۲۳۴۵۶۷۸۹",
        utc="وقت UTC",
    ),
    "zh": Wording(
        day="y年M月d日EEEE",
        day_without_year="M月d日EEEE",
        month="y年M月",
        year="y年",
        event="{date} {time} {zone}",
        moment="{date} {time}",
        reader="{city}：{date} {time}",
        zone="{name}（{inner}）",
        inner_comma="，",
        aside="{text}（{aside}）",
    ),
}
