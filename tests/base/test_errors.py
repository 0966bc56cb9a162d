"""Tests of malaria/errors.py."""

import pytest

from malaria.base.errors import UsageError, UserError
from malaria.base.text import printable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\x1b[31mred\x1b[0m", r"a\x1b[31mred\x1b[0m"),
        ("two\nlines\r\n", r"two\nlines\r\n"),
        ("a\tb\x00c\x7f", r"a\tb\x00c\x7f"),
        ("\x9b31m", r"\x9b31m"),
        ("gnp.\u202ecod", r"gnp.\u202ecod"),
        ("\u2066a\u2069\u200b\ufeff", r"\u2066a\u2069\u200b\ufeff"),
        ("a\u2028b\u2029c\x85d", r"a\u2028b\u2029c\x85d"),
        ("b\udcff.png", r"b\udcff.png"),
    ],
)
def test_what_could_move_a_cursor_or_break_a_line_is_escaped(text, expected):
    assert printable(text) == expected
    assert printable(text).isprintable()


@pytest.mark.parametrize(
    "text", ["", "cell 1.png", "Zelle_ä_寄生_🔬.png", r"C:\cells\new", "a=b;'"]
)
def test_other_text_stays_as_it_is(text):
    assert printable(text) == text


def test_printable_twice_is_printable_once():
    assert printable(printable("a\n\\\x1b")) == printable("a\n\\\x1b")


def test_a_mistake_in_the_command_line_is_told_from_what_could_not_be_done():
    assert UserError.exit_status == 1
    assert UsageError.exit_status == 2
    assert issubclass(UsageError, UserError)
