"""Tests of malaria/base/errors.py."""

from malaria.base.errors import UsageError, UserError


def test_a_mistake_in_the_command_line_is_told_from_what_could_not_be_done():
    assert UserError.exit_status == 1
    assert UsageError.exit_status == 2
    assert issubclass(UsageError, UserError)
