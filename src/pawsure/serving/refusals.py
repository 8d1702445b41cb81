"""Why a request is refused, and the status code that says so: one table.

Refusal
├── BadRequest      400  broken multipart, broken JSON, a wrong shape
├── NoToken         401  the token is missing or wrong
├── NoSuchThing     404  no such page or model
├── TooSlow         408  the upload stalled
├── TooLarge        413  more bytes, pixels or pictures than the limits
├── NotAPicture     415  no kind of picture that can be read
├── Encoded         415  a compressed body
├── WrongHost       421  a name that is not this machine's
├── Unreadable      422  a picture, but damaged or cut short
└── Busy            503  full, or too late; says when to come again

A message is one sentence with the way out, and is sent as the body's `error`.
"""

from __future__ import annotations


class Refusal(Exception):
    """A request that gets no answer; its text is a sentence for whoever asked."""

    retry_after_s: int | None = None


class BadRequest(Refusal):
    """The request can't be understood."""


class NoToken(Refusal):
    """The token is missing or wrong."""


class NoSuchThing(Refusal):
    """What was asked for is not here."""


class TooSlow(Refusal):
    """The upload stalled."""


class TooLarge(Refusal):
    """More than the limits allow."""


class NotAPicture(Refusal):
    """Nothing that can be read as a picture."""


class Encoded(Refusal):
    """The body is compressed, which is not taken: a few bytes of it could be any number."""


class WrongHost(Refusal):
    """The request was meant for another host."""


class Unreadable(Refusal):
    """A picture, but damaged or cut short."""


class Busy(Refusal):
    """There is no room now, or it took too long."""

    def __init__(self, sentence: str, *, retry_after_s: int) -> None:
        """Say when to come again, in whole seconds of at least 1."""
        super().__init__(sentence)
        self.retry_after_s = retry_after_s


class Gone(Exception):
    """The client closed the connection; nobody waits for an answer."""


STATUS_CODES: dict[type[Refusal], int] = {
    BadRequest: 400,
    NoToken: 401,
    NoSuchThing: 404,
    TooSlow: 408,
    TooLarge: 413,
    NotAPicture: 415,
    Encoded: 415,
    WrongHost: 421,
    Unreadable: 422,
    Busy: 503,
}
