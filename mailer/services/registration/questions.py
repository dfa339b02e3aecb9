"""Registration questions: a few typed fields that staff add to a symposium's form, and their answers.

Pure. A question has a label per language, and an answer is checked by the same code
whichever door it comes through. What is wrong is told by question, never with the answer.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from unicodedata import category

from mailer.db.base import JsonObject
from mailer.messages.catalogues import UnknownLanguage, direction
from mailer.services.programme.symposia import SymposiumRefusal
from mailer.vocabulary import QuestionKind

MOST_QUESTIONS = 8
MOST_CHOICES = 20
LONGEST_LABEL = 200  # characters
LONGEST_ANSWER = 1_000
YES, NO = "yes", "no"
FALLBACK_LANGUAGE = "en"
# Signs without a look of their own; most of them turn the writing round them about.
_UNSEEN = dict.fromkeys((0x200B, 0xFEFF, *range(0x202A, 0x202F), *range(0x2066, 0x206A)))
_KEY = re.compile(r"[a-z][a-z0-9_]{0,30}")
_UNPRINTABLE = frozenset(("Cc", "Co", "Cs", "Zl", "Zp"))
_LINE_ENDS = re.compile(r"\r\n?")


class AnswerProblem(StrEnum):
    """What keeps an answer from being taken."""

    MISSING = "missing"
    TOO_LONG = "too_long"
    NOT_OFFERED = "not_offered"
    CONTROL_CHARACTERS = "control_characters"


@dataclass(frozen=True, kw_only=True)
class Question:
    """One field of a form. `choices` are what is offered, in the order it is shown."""

    key: str
    kind: QuestionKind
    labels: Mapping[str, str]
    required: bool = False
    choices: tuple[str, ...] = ()

    def language_for(self, language: str) -> str:
        """The language the label is had in: the one asked for, else English, else whatever there is."""
        return next(
            (one for one in (language, FALLBACK_LANGUAGE) if one in self.labels), next(iter(self.labels))
        )

    def said_in(self, language: str) -> str:
        """The label in that language."""
        return self.labels[self.language_for(language)]


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What was answered, and what is wrong, both by the question's key."""

    answers: Mapping[str, str] = field(default_factory=dict, repr=False)
    problems: Mapping[str, AnswerProblem] = field(default_factory=dict)


def read_questions(rows: Iterable[JsonObject]) -> tuple[Question, ...]:
    """A symposium's questions as they stand in its row."""
    return tuple(
        Question(
            key=row["key"],
            kind=QuestionKind(row["kind"]),
            labels=row["labels"],
            required=row["required"],
            choices=tuple(row["choices"]),
        )
        for row in rows
    )


def write_questions(questions: Iterable[Question]) -> list[JsonObject]:
    """The questions as a row keeps them."""
    return [
        {
            "key": one.key,
            "kind": one.kind.value,
            "labels": dict(one.labels),
            "required": one.required,
            "choices": list(one.choices),
        }
        for one in questions
    ]


def checked(question: Question) -> Question:
    """The question itself. Raises SymposiumRefusal for one that no form could show."""
    if not _KEY.fullmatch(question.key):
        raise SymposiumRefusal(
            f'"{question.key[:40]}" is no key for a question. Write a short word in small letters: diet.'
        )
    if not question.labels or any(not label.strip() for label in question.labels.values()):
        raise SymposiumRefusal('A question needs its words: --label "en=Will you eat with us?"')
    for language in question.labels:
        _refuse_unknown(language)
    texts = (*question.labels.values(), *question.choices)
    if any(len(text) > LONGEST_LABEL or _is_unprintable(text, lines=False) for text in texts):
        raise SymposiumRefusal(
            f"A label or choice is longer than {LONGEST_LABEL} letters or holds a control character."
        )
    if (question.kind is QuestionKind.CHOICE) != bool(question.choices):
        raise SymposiumRefusal(
            "A question of the kind choice, and no other, has choices: --choice A --choice B"
        )
    if len(set(question.choices)) != len(question.choices) or len(question.choices) > MOST_CHOICES:
        raise SymposiumRefusal(f"Give at most {MOST_CHOICES} choices, each of them once.")
    return question


def _refuse_unknown(language: str) -> None:
    try:
        direction(language)
    except UnknownLanguage:
        raise SymposiumRefusal(
            f'"{language[:20]}" is no language that is known. Before the = stands a tag such as en or hy.'
        ) from None


def check(questions: Iterable[Question], given: Mapping[str, str]) -> Answered:
    """The answers to these questions among what was given; anything else is passed over."""
    answers: dict[str, str] = {}
    problems: dict[str, AnswerProblem] = {}
    for question in questions:
        answer = _LINE_ENDS.sub("\n", given.get(question.key, "")).strip()
        problem = _problem(question, answer)
        if problem is not None:
            problems[question.key] = problem
        elif answer:
            answers[question.key] = answer
    return Answered(answers=answers, problems=problems)


def _problem(question: Question, answer: str) -> AnswerProblem | None:
    if not answer:
        return AnswerProblem.MISSING if question.required else None
    if question.kind is QuestionKind.TEXT:
        return text_problem(answer)
    offered = question.choices if question.kind is QuestionKind.CHOICE else (YES, NO)
    return None if answer in offered else AnswerProblem.NOT_OFFERED


def plain(text: str) -> str:
    """A text that somebody typed, as it is kept: without signs that nobody sees and that reorder others."""
    return _LINE_ENDS.sub("\n", text).translate(_UNSEEN).strip()


def text_problem(text: str) -> AnswerProblem | None:
    """What keeps a free text from being taken: its length, or signs that are no letters."""
    told = _LINE_ENDS.sub("\n", text)  # browsers send two signs for one
    if len(told) > LONGEST_ANSWER:
        return AnswerProblem.TOO_LONG
    return AnswerProblem.CONTROL_CHARACTERS if _is_unprintable(told, lines=True) else None


def _is_unprintable(text: str, *, lines: bool) -> bool:
    allowed = "\n\t" if lines else ""
    return any(category(letter) in _UNPRINTABLE and letter not in allowed for letter in text)
