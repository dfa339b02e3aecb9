"""The tables of the commands on a terminal of 80 columns, where most people read them."""

import pytest

from mailer.cli import lanes, mailings, tables, terminal

KEYS = ("symposium:4:reminder:1h:r12", "statement:1:alert", "campaign:9")


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_the_books_of_mailings_stand_on_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(key, "scheduled", "50,000", "49,000", "1", "999", "0", "12") for key in KEYS]
    tables.draw("Mailings", mailings.COLUMNS, rows, mailings.NUMBERS, 80)
    told = lines(capsys)
    assert max(map(len, told)) <= 80
    assert [line.split()[0] for line in told[-len(KEYS) :]] == list(KEYS)


def test_the_name_of_a_lane_is_never_squeezed_out(capsys: pytest.CaptureFixture[str]) -> None:
    row = ("olc.protection.outlook.com", "5", "50", "-", "-", "200 (warming up)", "-", "-", "open")
    tables.draw("Lanes", lanes.COLUMNS, [row], lanes.COLUMNS[1:8], 80)
    told = lines(capsys)
    assert max(map(len, told)) <= 80
    assert "outlook" in "".join(line.split(" ")[0] for line in told[-3:])


def test_columns_that_fit_stand_apart(capsys: pytest.CaptureFixture[str]) -> None:
    tables.draw("Topics", ("key", "subscribers"), [("statements", "900")], ("subscribers",), 80)
    assert lines(capsys)[-1] == "statements          900"


def test_an_empty_table_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.table("Sources", ("name", "kind"), [])
    assert lines(capsys) == ["Sources: none."]
