"""Tests of malaria/base/patterns.py."""

import pytest

from malaria.base import patterns
from malaria.base.errors import UserError
from malaria.base.patterns import MAX_LENGTH, Pattern


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
