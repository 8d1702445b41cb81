"""The limits of the server, and who may ask it."""

from __future__ import annotations

from dataclasses import dataclass

from pawsure.errors import UsageError
from pawsure.serving.addresses import checked_root_path
from pawsure.serving.hosts import checked_name, checked_origin

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class ServingSettings:
    """The limits of the server; each is checked before memory or time is spent.

    Attributes:
        max_picture_bytes: of one uploaded file.
        max_pixels: of one picture, from its header.
        max_pictures: in one request.
        max_body_bytes: of one request.
        max_bytes_in_flight: of all requests that are being read or answered.
        max_connections: open at once; more are refused.
        max_waiting: pictures accepted and not answered.
        wait_s: a request that is expected to wait longer is refused at once.
        deadline_s: a request that is not answered within this is refused.
        slow_decode_s: decoding a picture may take this long.
        max_decoder_processes: for pictures that may decode slowly; at most one per core.
        stall_s: an upload may pause for this long.
        least_bytes_per_s: the least average speed of an upload.
        head_s: a connection must send a whole request head within this.
        drain_s: open requests get this long to finish when the server stops.
        batch_size: most pictures in one forward pass.
        workers: threads that decode and run the model; None: one more than cores.
        token: the bearer token that clients must send; None: none is needed.
        local_only: accept only this machine's host names (against DNS rebinding).
        allowed_hosts: further host names to accept, such as "pets.example.org" or
            "*.example.org"; without `local_only`, accept only these and this machine's.
        root_path: the prefix under which a proxy serves the application, such as "/pets".
        cors_origins: origins whose pages may call the API, such as "https://example.org";
            "*" for all.
    """

    max_picture_bytes: int = 20 * MEBIBYTE
    # A phone's largest pictures have 50 million; RGB and alpha of one take 350 MB to decode.
    max_pixels: int = 50_000_000
    max_pictures: int = 32
    max_body_bytes: int = 64 * MEBIBYTE
    max_bytes_in_flight: int = 256 * MEBIBYTE
    max_connections: int = 1000
    max_waiting: int = 256
    # People notice a second; clients that can wait longer are told when to retry.
    wait_s: float = 1.0
    deadline_s: float = 10.0
    slow_decode_s: float = 5.0
    # Each takes 60 MB from its first job on.
    max_decoder_processes: int = 2
    stall_s: float = 10.0
    least_bytes_per_s: int = 16 * 1024
    head_s: float = 10.0
    drain_s: float = 20.0
    # With one thread per pass, larger batches are no faster per picture.
    batch_size: int = 4
    workers: int | None = None
    token: str | None = None
    local_only: bool = True
    allowed_hosts: tuple[str, ...] = ()
    root_path: str = ""
    cors_origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse limits that make no sense."""
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
