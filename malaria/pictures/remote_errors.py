"""remote_errors: why a file on another machine could not be read, in a few words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from malaria.base.errors import UserError
from malaria.base.text import shorten
from malaria.pictures.limits import UnreadableImageError

# The names of errors of fsspec, aiohttp, botocore and Google, and what they mean to a user.
REASONS = {
    "FileNotFoundError": "not found",
    "PermissionError": "access denied",
    "NoCredentialsError": "access denied: no credentials",
    "PartialCredentialsError": "access denied: no credentials",
    "GoogleAuthError": "access denied: no credentials",
    "ClientPayloadError": "the connection ended too early",
    "TimeoutError": "no answer",
    "ConnectionError": "no answer",
    "ClientConnectionError": "no answer",
}
# The same by the status of HTTP.
STATUS = {401: "access denied", 403: "access denied", 404: "not found", 410: "not found"}


@contextmanager
def told_why() -> Iterator[None]:
    """Every error but our own becomes an UnreadableImageError with the reason."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UnreadableImageError(describe(error)) from error


def describe(error: Exception) -> str:
    """Why something could not be read, in a few words."""
    status: Any = getattr(error, "status", getattr(error, "code", None))
    names = (REASONS.get(kind.__name__) for kind in type(error).__mro__)
    reason = STATUS.get(status) or next(filter(None, names), None)
    text = shorten(" ".join(str(error).split()), 120)
    if reason is None:
        return f"cannot be read: {text or type(error).__name__}"
    return f"{reason}: {text}" if reason == "no answer" and text else reason
