"""Gets pages over HTTP, and says in one sentence why one cannot be had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ragmeter.measured.errors import MeasuredError
from ragmeter.telemetry.otel_environment import without_secrets

if TYPE_CHECKING:
    from requests import Response

UNAUTHORIZED, FORBIDDEN = 401, 403


@dataclass(frozen=True, slots=True)
class Access:
    """How a server knows who asks: by a user and a password, by a token, or not at all. None of them is ever shown."""

    user: str | None = None
    password: str = field(default="", repr=False)
    token: str | None = field(default=None, repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """The header for a bearer token."""
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    @property
    def basic(self) -> tuple[str, str] | None:
        """User and password for basic authentication."""
        return None if self.user is None else (self.user, self.password)


NOBODY = Access()

NO_ADDRESS = "Expected an address such as http://127.0.0.1:9090, got {}."


def get(url: str, *, seconds: float, parameters: Mapping[str, str] | None = None, access: Access = NOBODY) -> Response:
    """The answer to a GET, whatever its status but 401 and 403; `MeasuredError` where there is none.

    `seconds` bound the wait for the connection and between two pieces of the answer.
    """
    import requests

    shown = without_secrets(url)
    has_user = _has_user(url)
    try:
        answer = requests.get(url, params=parameters, headers=access.headers, auth=access.basic, timeout=seconds)
    except requests.Timeout as error:
        raise MeasuredError(f"{shown} did not answer within {seconds:g} s; is it overloaded?") from error
    except requests.exceptions.InvalidURL as error:
        # Its own words have the whole address, with user and password.
        raise MeasuredError(NO_ADDRESS.format(shown)) from error
    except (requests.RequestException, ValueError) as error:
        raise MeasuredError(
            f"{shown} cannot be reached ({_reason(error)}); does it run, and is this its address?"
        ) from error
    if answer.status_code in (UNAUTHORIZED, FORBIDDEN):
        given = "what was given is not accepted" if access != NOBODY or has_user else "none was given"
        raise MeasuredError(
            f"{shown} answers {answer.status_code}: it wants a user and a password, or a token, and {given}."
        )
    return answer


def _has_user(url: str) -> bool:
    """Whether an address names a user; `MeasuredError` where it is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise MeasuredError(NO_ADDRESS.format(without_secrets(url)))
    return bool(parts.username)


def _reason(error: BaseException) -> str:
    """The innermost reason: libraries wrap it several times."""
    while error.args and isinstance(error.args[0], BaseException):
        error = error.args[0]
    reason = getattr(error, "reason", None)
    if isinstance(reason, BaseException):
        return _reason(reason)
    return str(error.__cause__ or error).rpartition(": ")[2] or type(error).__name__
