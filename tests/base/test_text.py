"""Tests of malaria/base/text.py and patterns.py."""

import pytest

from malaria.base import patterns
from malaria.base.errors import UserError
from malaria.base.patterns import MAX_LENGTH, Pattern
from malaria.base.text import natural_key, printable, quote, shorten


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\x1b[31mred\x1b[0m\x9b31m", r"a\x1b[31mred\x1b[0m\x9b31m"),
        ("two\nlines\r\n\tb\x00c\x7f", r"two\nlines\r\n\tb\x00c\x7f"),
        ("gnp.\u202ecod\u2066a\u2069\u200b\ufeff", r"gnp.\u202ecod\u2066a\u2069\u200b\ufeff"),
        ("a\u2028b\u2029c\x85d", r"a\u2028b\u2029c\x85d"),
        ("b\udcff.png", r"b\udcff.png"),
    ],
)
def test_what_could_move_a_cursor_or_break_a_line_is_escaped(text, expected):
    assert printable(text) == expected == printable(expected)
    assert expected.isprintable()


@pytest.mark.parametrize(
    "text", ["", "cell 1.png", "Zelle_ä_寄生_🔬.png", r"C:\cells\new", "a=b;'"]
)
def test_other_text_stays_as_it_is(text):
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown", "shown_from_end"),
    [
        ("", "", ""),
        ("0123456789", "0123456789", "0123456789"),
        ("0123456789a", "0123456...", "...456789a"),
        ("寄" * 11, "寄" * 7 + "...", "..." + "寄" * 7),
        (12345678901, "1234567...", "...5678901"),
        (KeyError("a"), "'a'", "'a'"),
        # What is cut is the printable text, so that its length holds.
        ("\x1b" * 10, r"\x1b\x1...", r"...x1b\x1b"),
        ("\n" * 6, r"\n\n\n\...", r"...n\n\n\n"),
        ("a\nb", r"a\nb", r"a\nb"),
    ],
)
def test_a_long_text_is_cut_to_its_length_at_the_end_or_at_the_beginning(
    text, shown, shown_from_end
):
    assert shorten(text, 10) == shown
    assert shorten(text, 10, from_end=True) == shown_from_end


def test_a_strangers_text_is_quoted_on_one_line_of_bounded_length():
    assert quote("layer 1") == "'layer 1'"
    assert quote("a\nb\x1b[2J") == r"'a\nb\x1b[2J'"
    assert quote(None) == "'None'"
    assert quote("x" * 80) == f"'{'x' * 80}'"
    assert quote("x" * 81) == f"'{'x' * 77}...'"


def test_names_are_sorted_as_people_count():
    names = ["C10", "C2", "10", "b", "2", "C2P10", "C2P9", "", "a"]
    assert sorted(names, key=natural_key) == ["", "2", "10", "C2", "C2P9", "C2P10", "C10", "a", "b"]
    names = ["20150619114756", "9", "100000000000000000"]
    assert sorted(names, key=natural_key) == sorted(names, key=int)


@pytest.mark.parametrize(
    ("text", "name", "found"),
    [
        (r"^C(\d+)", "C12_cell.png", "12"),
        (r"^C\d+", "C12_cell.png", "C12"),
        (r"^C(\d+)", "cell.png", None),
        (r"person(\d+)|IM-(\d+)", "IM-0115-0001.jpeg", "0115"),
        (r"a(b)?", "a", None),
    ],
)
def test_the_first_group_or_the_whole_match_is_found(text, name, found):
    assert Pattern(text).find(name) == found


@pytest.mark.parametrize(
    "text", ["(", "a{99999999999}", "x" * (MAX_LENGTH + 1), "(" * 150 + ")" * 50, "[z-a]"]
)
def test_what_is_no_pattern_is_refused(text):
    with pytest.raises(ValueError, match="expected "):
        Pattern(text)


def test_a_pattern_that_would_run_for_ever_is_stopped(monkeypatch):
    monkeypatch.setattr(patterns, "SECONDS", 0.1)
    with pytest.raises(UserError, match=r"takes over 0\.1 s on the name"):
        Pattern(r"(.*?,){25}P").find("1," * 60 + "x")


def test_equal_texts_are_equal_patterns():
    assert len({Pattern("a"), Pattern("a"), Pattern("b")}) == 2
