"""errors: mistakes that the user can correct; each carries its own line and exit status."""


class UserError(Exception):
    """Something could not be done; the message says what, where, and what to do about it."""

    exit_status = 1


class UsageError(UserError):
    """A command line, a config or an argument that cannot be right; nothing was begun."""

    exit_status = 2
