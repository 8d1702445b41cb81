"""How much the server takes on, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

from pawsure.errors import UsageError
from pawsure.serving.addresses import checked_root_path
from pawsure.serving.hosts import checked_name, checked_origin

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class ServingSettings:
    """The bounds of the server; every one is checked before memory or time is spent.

    Attributes:
        max_picture_bytes: of one uploaded file.
        max_pixels: of one picture, from its header.
        max_pictures: in one request.
        max_body_bytes: of one request.
        max_bytes_in_flight: of all requests that are being read or answered.
        max_connections: open at once; more are told to come again.
        max_waiting: pictures that were taken on and not answered yet.
        wait_s: a request that would wait longer than this, by the pace of the last answers,
            is refused at once.
        deadline_s: an answer that is not there by then is given up.
        aside_s: a picture that is not known to be quick may take this long to decode.
        max_asides: processes that decode such pictures, no more than cores.
        stall_s: an upload may pause for this long.
        least_bytes_per_s: an upload must keep this pace, on the whole.
        head_s: a connection must send a whole request head within this.
        drain_s: requests in hand get this long to end when the server stops.
        batch_size: most pictures in one forward pass.
        workers: threads that decode and run the model; None takes one more than cores.
        token: what clients must show as a bearer token; None lets everybody in.
        local_only: answer only to the names of this machine (against DNS rebinding).
        allowed_hosts: names to answer to as well, such as "pets.example.org" or
            "*.example.org"; given without `local_only`, only these and this machine's.
        root_path: the prefix under which a proxy serves this, such as "/pets".
        cors_origins: origins whose pages may ask, such as "https://example.org"; "*" for all.
    """

    max_picture_bytes: int = 20 * MEBIBYTE
    # A phone's largest pictures have 50 million; RGB and alpha of one take 350 MB to decode.
    max_pixels: int = 50_000_000
    max_pictures: int = 32
    max_body_bytes: int = 64 * MEBIBYTE
    max_bytes_in_flight: int = 256 * MEBIBYTE
    max_connections: int = 1000
    max_waiting: int = 256
    # People feel a second; whoever can wait longer is told when to ask again.
    wait_s: float = 1.0
    deadline_s: float = 10.0
    aside_s: float = 5.0
    # Each takes 60 MB, once there is something for it to do.
    max_asides: int = 2
    stall_s: float = 10.0
    least_bytes_per_s: int = 16 * 1024
    head_s: float = 10.0
    drain_s: float = 20.0
    # With one thread a pass, one picture alone is run as fast as one of many.
    batch_size: int = 4
    workers: int | None = None
    token: str | None = None
    local_only: bool = True
    allowed_hosts: tuple[str, ...] = ()
    root_path: str = ""
    cors_origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse bounds that nothing could keep."""
        for name, value in vars(self).items():
            if isinstance(value, (int, float)) and not isinstance(value, bool) and value <= 0:
                raise UsageError(f"{name} must be more than 0; got {value}.")
        if self.token is not None and (len(self.token) < 8 or not self.token.isascii()):
            raise UsageError("The token must have 8 or more characters, all of them ASCII.")
        for name, checked in (
            ("allowed_hosts", tuple(map(checked_name, self.allowed_hosts))),
            ("root_path", checked_root_path(self.root_path)),
            ("cors_origins", tuple(map(checked_origin, self.cors_origins))),
        ):
            object.__setattr__(self, name, checked)
        if self.max_pictures > self.max_waiting:
            raise UsageError(
                f"max_waiting ({self.max_waiting}) must be at least max_pictures "
                f"({self.max_pictures}), or a full request could never be answered."
            )
