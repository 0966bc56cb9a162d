"""patterns: regular expressions from settings, options and saved models, with a limit of time.

A pattern such as (\\w+)+: can take Python's own engine years on one name.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from malaria.base.errors import UserError
from malaria.base.text import quote

MAX_LENGTH = 200
SECONDS = 1.0


@dataclass(frozen=True)
class Pattern:
    """A regular expression that finds a part of a name; ValueError, with the reason, for none."""

    text: str

    def __post_init__(self) -> None:
        if len(self.text) > MAX_LENGTH:
            raise ValueError(f"expected at most {MAX_LENGTH} characters")
        try:
            re.compile(self.text)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"expected a regular expression: {error}") from None

    def find(self, name: str) -> str | None:
        """The first group that took part, or the whole match where there is no group, or None.

        Raises UserError if it takes too long.
        """
        try:
            match = self._compiled.search(name, timeout=SECONDS)
        except TimeoutError:
            raise UserError(
                f"the pattern {quote(self.text)} takes over {SECONDS:g} s on the name "
                f"{quote(name)}: expected one without repeated repetitions"
            ) from None
        if match is None:
            return None
        groups = match.groups() or (match.group(),)
        return next((group for group in groups if group is not None), None)

    @cached_property
    def _compiled(self) -> Any:
        # Late: of all starts only those with a pattern of the user's own need it.
        import regex

        try:
            return regex.compile(self.text)
        except regex.error as error:
            raise UserError(f"the pattern {quote(self.text)}: {error}") from None
