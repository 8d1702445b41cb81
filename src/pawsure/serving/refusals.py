"""Why a request is refused, each reason with its HTTP status code.

A message is one sentence that says what to do, and is sent as the body's `error`.
"""

from __future__ import annotations


class Refusal(Exception):
    """A request that is not answered; the message is for the client."""

    status_code: int

    def headers(self) -> dict[str, str]:
        """Headers that belong to the response."""
        return {}


class BadRequest(Refusal):
    """Broken multipart, broken JSON, or a tensor of another shape."""

    status_code = 400


class Unauthorized(Refusal):
    """The token is missing or wrong."""

    status_code = 401

    def headers(self) -> dict[str, str]:
        """How to send one."""
        return {"WWW-Authenticate": "Bearer"}


class NotFound(Refusal):
    """No such page or model."""

    status_code = 404


class TooSlow(Refusal):
    """The upload stalled."""

    status_code = 408


class TooLarge(Refusal):
    """More bytes, pixels or pictures than the limits."""

    status_code = 413


class NotAPicture(Refusal):
    """Not in any picture format that can be read."""

    status_code = 415


class CompressedBody(Refusal):
    """The body is compressed; a few bytes of it could unpack to any number."""

    status_code = 415

    def headers(self) -> dict[str, str]:
        """What to send instead."""
        return {"Accept-Encoding": "identity"}


class WrongHost(Refusal):
    """The request names another host."""

    status_code = 421


class Unreadable(Refusal):
    """A picture, but damaged or truncated."""

    status_code = 422


class Busy(Refusal):
    """The server is full, or the answer came too late."""

    status_code = 503

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        """Set the message and when to retry, in whole seconds of at least 1."""
        super().__init__(message)
        self.retry_after_s = retry_after_s

    def headers(self) -> dict[str, str]:
        """When to retry."""
        return {"Retry-After": str(self.retry_after_s)}


class ClientLeft(Exception):
    """The client closed the connection; nobody waits for an answer."""
