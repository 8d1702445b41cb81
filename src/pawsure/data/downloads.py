"""Files fetched over HTTP: gone on with where they were cut, checked, whole or not there.

What has been fetched so far lies in `<name>.part`, and beside it, in `<name>.part.from`, which
version of the file it is the beginning of. The name itself appears only once every byte has
been checked, so it does not matter when a download is killed.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import ssl
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from pawsure._version import __version__
from pawsure.data.files import atomic_path
from pawsure.data.receipts import RemoteFile, sha256_of, write_receipt
from pawsure.data.room import writing
from pawsure.errors import DownloadError
from pawsure.progress import NO_PROGRESS, Progress

_BLOCK = 1 << 18
_MB = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to wait for a server, and how often to try.

    Attributes:
        timeout_s: of silence, while connecting, before an answer and within it.
        tries: in a row that bring next to nothing; one that brings more starts the count anew.
        tries_without_network: the same where not even the server's name can be found.
        pause_s: before the second try; each one after it is twice as long, and each is
            shortened by chance, by up to half, so that many who were cut off together do not
            come back together.
        longest_pause_s: also of what a server asks for.
        slow_s: over which at least `slow_bytes` must come, or the connection is given up.
        slow_bytes: what also counts as "next to nothing".
    """

    timeout_s: float = 30.0
    tries: int = 6
    tries_without_network: int = 2
    pause_s: float = 1.0
    longest_pause_s: float = 60.0
    slow_s: float = 60.0
    slow_bytes: int = 100_000


PATIENCE = Patience()
"""What is used where nothing else is said: about half a minute of tries, plus timeouts."""


class _Failed(Exception):
    """One try came to nothing; another may do better."""

    def __init__(
        self,
        reason: str,
        *,
        wait_s: float = 0.0,
        no_network: bool = False,
        begin_anew: bool = False,
    ) -> None:
        super().__init__(reason)
        self.wait_s = wait_s
        self.no_network = no_network
        self.begin_anew = begin_anew


class _Refused(Exception):
    """This address will not do, however often it is tried."""


def fetch(
    file: RemoteFile,
    path: Path,
    *,
    progress: Progress = NO_PROGRESS,
    patience: Patience = PATIENCE,
) -> None:
    """Fetch a file, going on with what an earlier try left.

    Only one process or thread at a time may fetch to one path: see `pawsure.data.locks`.

    Args:
        file: what to fetch, from where, and what it must be.
        path: where to put it; its folder must exist.
        progress: told of every megabyte, and of every failed try.
        patience: with servers.

    Raises:
        DownloadError: it can't be had, is not what was published, or can't be written.
    """
    part = _Part(path)
    came_with = part.num_bytes()
    _get(file, part, progress, patience)
    found = sha256_of(part.path, progress=progress)
    if found != file.sha256 and (came_with or part.continued):
        # What lay there was the beginning of another version, or never reached the disk.
        progress.say(f"What was there of {file} did not fit what came: fetching it all anew.")
        part.clear()
        _get(file, part, progress, patience)
        found = sha256_of(part.path, progress=progress)
    if found != file.sha256:
        part.clear()
        raise DownloadError(
            f"What came as {file} is not what was published: its SHA-256 is {found}, and should "
            f"be {file.sha256}. It was thrown away. Its publisher has changed it, or something "
            "on the way does."
        )
    part.finish(file)


class _Part:
    """What has been fetched so far, and what it is the beginning of."""

    def __init__(self, path: Path) -> None:
        self.final = path
        self.path = path.with_name(f"{path.name}.part")
        self._origin = path.with_name(f"{path.name}.part.from")
        self.continued = False

    def num_bytes(self) -> int:
        with writing(self.path):
            return self.path.stat().st_size if self.path.exists() else 0

    def version(self, url: str) -> str | None:
        """What the server called the version that this is the beginning of, if it told."""
        try:
            told = json.loads(self._origin.read_bytes())
            return str(told["version"]) if told["url"] == url and told["version"] else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def start_anew(self, url: str, version: str | None) -> None:
        self.clear()
        self.continued = False
        with writing(self._origin), atomic_path(self._origin) as temporary:
            temporary.write_text(json.dumps({"url": url, "version": version}))

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        with writing(self.path):
            file = open(self.path, "ab", buffering=0)  # noqa: SIM115 (closed below)
        with closing(file):
            yield file

    def clear(self) -> None:
        with writing(self.path):
            self.path.unlink(missing_ok=True)
            self._origin.unlink(missing_ok=True)

    def finish(self, file: RemoteFile) -> None:
        with writing(self.path):
            with open(self.path, "rb+") as written:
                os.fsync(written.fileno())
            os.replace(self.path, self.final)
            self._origin.unlink(missing_ok=True)
        write_receipt(self.final, file)


def _get(file: RemoteFile, part: _Part, progress: Progress, patience: Patience) -> None:
    """Fill a part with as many bytes as the file has."""
    if part.num_bytes() > file.num_bytes:
        part.clear()
    reasons = []
    meter = _Meter(file, progress)
    try:
        for url in file.urls:
            try:
                return _get_from(url, file, part, meter, patience)
            except (_Refused, _Failed) as exc:
                reasons.append(f"{_host(url)}: {exc}")
    finally:
        progress.finish()
    raise DownloadError(f"{file} can't be fetched ({'; '.join(reasons)}).")


def _get_from(url: str, file: RemoteFile, part: _Part, meter: _Meter, patience: Patience) -> None:
    failures = 0
    while (before := part.num_bytes()) < file.num_bytes:
        try:
            _try(url, file, part, meter, patience)
        except _Failed as exc:
            if exc.begin_anew:
                part.clear()
            gained = part.num_bytes() - before
            failures = 1 if gained > patience.slow_bytes else failures + 1
            most = patience.tries_without_network if exc.no_network else patience.tries
            if failures >= most:
                raise
            _pause(exc, failures, file, meter.progress, patience)


def _pause(
    exc: _Failed, failures: int, file: RemoteFile, progress: Progress, patience: Patience
) -> None:
    own = patience.pause_s * 2 ** (failures - 1) * random.uniform(0.5, 1.0)
    seconds = min(max(own, exc.wait_s), patience.longest_pause_s)
    progress.say(f"{file}: {exc}; trying again in {seconds:.0f} s.")
    time.sleep(seconds)


def _try(url: str, file: RemoteFile, part: _Part, meter: _Meter, patience: Patience) -> None:
    """Ask once, and keep what comes."""
    start = part.num_bytes()
    version = part.version(url)
    with _answer(url, start, version, patience) as response:
        if response.status == http.client.PARTIAL_CONTENT and start:
            if _range(response) != (start, file.num_bytes):
                raise _Failed(
                    f"asked for what follows {start:,} bytes, the server sent "
                    f"{response.headers['Content-Range']!r}",
                    begin_anew=True,
                )
            part.continued = True
        elif response.status == http.client.OK:
            _check_length(response, file)
            part.start_anew(url, _version(response.headers))
        else:
            raise _Refused(f"the server answered {response.status} {response.reason}".rstrip())
        _keep(response, file, part, meter, patience)


def _keep(
    response: http.client.HTTPResponse,
    file: RemoteFile,
    part: _Part,
    meter: _Meter,
    patience: Patience,
) -> None:
    have = part.num_bytes()
    meter.set(have)
    pace = _Pace(patience)
    with part.opened() as out:
        while have < file.num_bytes:
            with _network():
                # read1 gives what is there; read would wait for a whole block.
                block = response.read1(min(_BLOCK, file.num_bytes - have))
            if not block:
                raise _Failed(f"the connection ended after {have:,} of {file.num_bytes:,} bytes")
            with writing(part.path):
                _write_all(out, block)
            have += len(block)
            meter.set(have)
            pace.check(len(block))


def _write_all(out: BinaryIO, block: bytes) -> None:
    """A full disk may take a part of a block before it says that it is full."""
    view = memoryview(block)
    while view:
        view = view[out.write(view) :]


class _Pace:
    """Gives up on a server that sends a little now and then, and so is never silent."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._since = time.monotonic()
        self._num_bytes = 0

    def check(self, num_bytes: int) -> None:
        self._num_bytes += num_bytes
        now = time.monotonic()
        if now - self._since < self._patience.slow_s:
            return
        if self._num_bytes < self._patience.slow_bytes:
            raise _Failed(f"only {self._num_bytes:,} bytes came in {now - self._since:.0f} s")
        self._since, self._num_bytes = now, 0


class _Meter:
    """Tells of megabytes, also when the count goes back to nothing."""

    def __init__(self, file: RemoteFile, progress: Progress) -> None:
        self.progress = progress
        self._file = file
        self._shown = -1

    def set(self, num_bytes: int) -> None:
        megabytes = num_bytes // _MB
        if self._shown < 0 or megabytes < self._shown:
            self.progress.start(f"Fetching {self._file}", self._file.num_bytes // _MB, "MB")
            self._shown = 0
        if megabytes > self._shown:
            self.progress.advance(megabytes - self._shown)
            self._shown = megabytes


@contextmanager
def _answer(
    url: str, start: int, version: str | None, patience: Patience
) -> Iterator[http.client.HTTPResponse]:
    """The answer to one request, for what follows `start` if the version is still the same."""
    headers = {"User-Agent": f"pawsure/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if version:
            headers["If-Range"] = version
    with _network():
        response = _opener().open(
            urllib.request.Request(url, headers=headers), timeout=patience.timeout_s
        )
    with closing(response):
        yield response


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects without reading what comes with them, which may have no end."""

    def http_error_302(self, req, fp, code, msg, headers):  # type: ignore[no-untyped-def]  # noqa: D102
        fp.close()
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _opener() -> urllib.request.OpenerDirector:
    """One that knows HTTP and proxies, but no files and no FTP for a redirect to lead to."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        _Redirects,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener


_WORTH_ANOTHER_TRY = {408, 416, 425, 429, 500, 502, 503, 504}


@contextmanager
def _network() -> Iterator[None]:
    """Sort what can go wrong between here and a server into `_Failed` and `_Refused`."""
    try:
        yield
    except HTTPError as exc:
        exc.close()
        said = f"the server answered {exc.code} {_first_line(exc.reason)}".rstrip()
        if exc.code in _WORTH_ANOTHER_TRY:
            raise _Failed(
                said,
                wait_s=_asked_to_wait(exc.headers),
                begin_anew=exc.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE,
            ) from exc
        raise _Refused(said) from exc
    except URLError as exc:
        if not isinstance(exc.reason, OSError):
            raise _Refused(_first_line(exc.reason)) from exc
        _sort(exc.reason)
    except (OSError, http.client.HTTPException) as exc:
        _sort(exc)
    except ValueError as exc:  # an address that a redirect garbled
        raise _Refused(f"an address that can't be read: {exc}") from exc


def _sort(exc: OSError | http.client.HTTPException) -> None:
    if isinstance(exc, ssl.SSLCertVerificationError):
        raise _Refused(
            f"its certificate is not trusted ({exc.verify_message}); if a proxy stands in "
            "between, SSL_CERT_FILE can name its certificate"
        ) from exc
    if isinstance(exc, http.client.InvalidURL):
        raise _Refused(f"an address that can't be read: {exc}") from exc
    if isinstance(exc, TimeoutError):
        raise _Failed("the server stopped answering") from exc
    if isinstance(exc, socket.gaierror):
        raise _Failed("its name can't be found (no network?)", no_network=True) from exc
    if isinstance(exc, OSError):
        raise _Failed((exc.strerror or str(exc) or type(exc).__name__).lower()) from exc
    if isinstance(exc, http.client.IncompleteRead):
        raise _Failed("the connection ended early") from exc
    raise _Failed(f"what came is not HTTP ({type(exc).__name__})") from exc


def _first_line(text: object) -> str:
    """Servers, and the messages of libraries, may go on for longer than an error should."""
    return (str(text).strip().splitlines() or [""])[0][:200]


def _asked_to_wait(headers: Message) -> float:
    """Retry-After in seconds; its other form, a date, is not worth its code."""
    value = headers.get("Retry-After") or ""
    return float(value) if value.isascii() and value.isdigit() else 0.0


def _version(headers: Message) -> str | None:
    """What If-Range takes: a strong ETag, else the date of the last change (RFC 9110, 13.1.5)."""
    tag = headers.get("ETag") or ""
    return tag if tag.startswith('"') else headers.get("Last-Modified")


def _range(response: http.client.HTTPResponse) -> tuple[int, int] | None:
    """(first byte, size of the whole) as an answer's Content-Range has them."""
    unit, _, rest = (response.headers["Content-Range"] or "").partition(" ")
    span, _, total = rest.partition("/")
    first = span.partition("-")[0]
    told = unit == "bytes" and first.isdecimal() and total.isdecimal()
    return (int(first), int(total)) if told else None


def _check_length(response: http.client.HTTPResponse, file: RemoteFile) -> None:
    """Notice before 800 MB are fetched that they would be the wrong ones."""
    length = response.headers["Content-Length"]
    if length is not None and length.isdecimal() and int(length) != file.num_bytes:
        raise _Refused(
            f"what it offers has {int(length):,} bytes ({response.headers.get_content_type()}); "
            f"what was published has {file.num_bytes:,}"
        )


def _host(url: str) -> str:
    return urlsplit(url).hostname or url
