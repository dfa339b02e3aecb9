"""From when to when, in the eight languages: how a beginning and an announced end stand in one line.

Beside words.py, which says a beginning alone. Where both lie on one day the day is said once; else each
has its own weekday and date. In the languages that run leftward words stand between the two times, never
a dash: a dash between figures takes its direction from whatever surrounds it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Until:
    """`event` and `reader` as in words.py, with the end on the same day; `_across` with one on another."""

    event: str
    event_across: str
    reader: str
    reader_across: str


UNTIL = {
    "en": Until(
        event="{date}, {time} to {end} {zone}",
        event_across="{date}, {time} to {end_date}, {end} {zone}",
        reader="{city}: {time} to {end}, {date}",
        reader_across="{city}: {time}, {date} to {end}, {end_date}",
    ),
    "es": Until(
        event="{date}, de {time} a {end}, {zone}",
        event_across="{date}, {time} – {end_date}, {end}, {zone}",
        reader="{city}: de {time} a {end}, {date}",
        reader_across="{city}: {time}, {date} – {end}, {end_date}",
    ),
    "fr": Until(
        event="{date} de {time} à {end}, {zone}",
        event_across="{date} à {time} – {end_date} à {end}, {zone}",
        reader="{city}\u00a0: de {time} à {end}, {date}",
        reader_across="{city}\u00a0: {time}, {date} – {end}, {end_date}",
    ),
    "ar": Until(
        event="{date}، من {time} إلى {end}، {zone}",
        event_across="{date}، {time} حتى {end_date}، {end}، {zone}",
        reader="{city}: من {time} إلى {end}، {date}",
        reader_across="{city}: {time}، {date} حتى {end}، {end_date}",
    ),
    "hy": Until(
        event="{date}, {time}–{end}, {zone}",
        event_across="{date}, {time} – {end_date}, {end}, {zone}",
        reader="{city}՝ {time}–{end}, {date}",
        reader_across="{city}՝ {time}, {date} – {end}, {end_date}",
    ),
    "uk": Until(
        event="{date}, {time}–{end} {zone}",
        event_across="{date}, {time} – {end_date}, {end} {zone}",
        reader="{city}: {time}–{end}, {date}",
        reader_across="{city}: {time}, {date} – {end}, {end_date}",
    ),
    "fa": Until(
        event="{date}، از ساعت {time} تا {end}، {zone}",
        event_across="{date}، ساعت {time} تا {end_date}، ساعت {end}، {zone}",
        reader="{city}: از {time} تا {end}، {date}",
        reader_across="{city}: {time}، {date} تا {end}، {end_date}",
    ),
    "zh": Until(
        event="{date} {time}至{end} {zone}",
        event_across="{date} {time}至{end_date} {end} {zone}",
        reader="{city}：{date} {time}至{end}",
        reader_across="{city}：{date} {time}至{end_date} {end}",
    ),
}
