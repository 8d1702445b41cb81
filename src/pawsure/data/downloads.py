"""Downloads over HTTP that resume, and appear under their name only once they are verified.

The bytes so far are in `<name>.part`. Whatever goes wrong with them, such as a file that changes
between two tries, shows in the SHA-256 at the end; then everything is downloaded once more.
"""

from __future__ import annotations

import http.client
import os
import random
import socket
import ssl
import time
import urllib.request
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from pawsure._version import __version__
from pawsure.data.disk_space import disk_errors
from pawsure.data.remote_files import RemoteFile, mark_verified, sha256_of
from pawsure.errors import DownloadError
from pawsure.progress import NO_PROGRESS, Progress

_BLOCK = 1 << 18
_MB = 1_000_000
_TEMPORARY = {408, 416, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to wait for a server, and how often to retry.

    Attributes:
        timeout_s: of silence, while connecting, before an answer and within it.
        tries: in a row that bring at most `slow_bytes`; one that brings more resets the count.
        tries_without_network: the same where the server's name can't be resolved.
        pause_s: before the second try; doubled for each one after it. Each is shortened at random
            by up to half, so that many clients that were cut off do not return together.
        longest_pause_s: also of what a server asks for.
        slow_s: a connection over which fewer than `slow_bytes` come in so long is closed.
        slow_bytes: see `tries` and `slow_s`.
    """

    timeout_s: float = 30.0
    tries: int = 6
    tries_without_network: int = 2
    pause_s: float = 1.0
    longest_pause_s: float = 60.0
    slow_s: float = 60.0
    slow_bytes: int = 100_000


PATIENCE = Patience()
"""The default: about half a minute of tries, plus timeouts."""


class _TryFailedError(Exception):
    """One request failed; it is worth `tries` in a row, by default those of `Patience`."""

    def __init__(self, reason: str, *, tries: int | None = None, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.tries = tries
        self.wait_s = wait_s


def fetch(
    file: RemoteFile,
    path: Path,
    *,
    progress: Progress = NO_PROGRESS,
    patience: Patience = PATIENCE,
) -> None:
    """Download a file, resuming what an earlier try left.

    Only one process or thread at a time may download to one path: see `pawsure.data.locks`.

    Args:
        file: what to download.
        path: where to put it; its folder must exist.
        progress: told of every megabyte, and of every failed try.
        patience: with servers.

    Raises:
        DownloadError: no address has it, it is not the published file, or it can't be written.
    """
    part = path.with_name(f"{path.name}.part")
    download = _Download(file, part, progress, patience)
    with disk_errors(part):
        resumed = download.run()
        found = sha256_of(part, progress=progress)
        if resumed and found != file.sha256:
            # The bytes were of two versions, or the first of them never reached the disk.
            progress.say(f"The parts of {file} did not fit together: downloading all of it again.")
            part.unlink()
            download.run()
            found = sha256_of(part, progress=progress)
        if found != file.sha256:
            part.unlink()
            raise DownloadError(
                f"The downloaded {file} is not what was published: its SHA-256 is {found}, not "
                f"{file.sha256}. It was deleted. Its publisher or something on the way changed it."
            )
        with open(part, "rb+") as written:
            os.fsync(written.fileno())
        os.replace(part, path)
    mark_verified(path, file)


@dataclass(frozen=True)
class _Download:
    """Fills `part` to the published size."""

    file: RemoteFile
    part: Path
    progress: Progress
    patience: Patience

    def run(self) -> bool:
        """Try until all is there; whether that took more than one answer."""
        if self._size() > self.file.num_bytes:
            self.part.unlink()
        resumed = self.part.exists()
        failures: list[str] = []
        for url in self.file.urls:
            in_a_row = 0
            while (before := self._size()) < self.file.num_bytes:
                try:
                    self._request(url)
                except _TryFailedError as exc:
                    resumed = resumed or self.part.exists()
                    gained = self._size() - before
                    in_a_row = 1 if gained > self.patience.slow_bytes else in_a_row + 1
                    if in_a_row >= (exc.tries or self.patience.tries):
                        failures.append(f"{urlsplit(url).hostname or url}: {exc}")
                        break
                    self._pause(exc, in_a_row)
                finally:
                    self.progress.finish()
            else:
                return resumed
        raise DownloadError(f"{self.file} can't be downloaded ({'; '.join(failures)}).")

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _pause(self, exc: _TryFailedError, in_a_row: int) -> None:
        pause_s = self.patience.pause_s * 2 ** (in_a_row - 1) * random.uniform(0.5, 1.0)
        pause_s = min(max(pause_s, exc.wait_s), self.patience.longest_pause_s)
        self.progress.say(f"{self.file}: {exc}; trying again in {pause_s:.0f} s.")
        time.sleep(pause_s)

    def _request(self, url: str) -> None:
        """Ask once for what is missing, and append what comes."""
        start = self._size()
        headers = {"User-Agent": f"pawsure/{__version__}", "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        opener = urllib.request.build_opener(_RedirectHandler)
        try:
            request = urllib.request.Request(url, headers=headers)
            response = opener.open(request, timeout=self.patience.timeout_s)
        except (OSError, http.client.HTTPException, ValueError) as exc:
            if isinstance(exc, HTTPError) and exc.code == 416:  # the server has less than is here
                self.part.unlink(missing_ok=True)
            raise _try_failed(exc, self.patience) from exc
        with closing(response):
            self._check_answer(response, start)
            self._append(response)

    def _check_answer(self, response: http.client.HTTPResponse, start: int) -> None:
        """Notice before 800 MB come that they are the wrong ones."""
        num_bytes = self.file.num_bytes
        if response.status == http.client.PARTIAL_CONTENT and start:
            content_range = response.headers["Content-Range"]
            if content_range != f"bytes {start}-{num_bytes - 1}/{num_bytes}":
                self.part.unlink()
                raise _TryFailedError(
                    f"asked for what follows {start:,} bytes, the server sent {content_range!r}"
                )
        elif response.status == http.client.OK:
            length = response.headers["Content-Length"]
            if length is not None and length != str(num_bytes):
                raise _TryFailedError(
                    f"it offers {length} bytes ({response.headers.get_content_type()}); the "
                    f"published file has {num_bytes:,}",
                    tries=1,
                )
            self.part.unlink(missing_ok=True)
        else:
            reason = f"the server answered {response.status} {response.reason}".rstrip()
            raise _TryFailedError(reason, tries=1)

    def _append(self, response: http.client.HTTPResponse) -> None:
        have, num_bytes = self._size(), self.file.num_bytes
        self.progress.start(f"Downloading {self.file}", num_bytes // _MB, "MB")
        self.progress.advance(have // _MB)
        since, since_bytes = time.monotonic(), have
        with open(self.part, "ab") as out:
            while have < num_bytes:
                try:
                    # read1 gives what is there; read would wait for a whole block.
                    block = response.read1(min(_BLOCK, num_bytes - have))
                except (OSError, http.client.HTTPException, ValueError) as exc:
                    raise _try_failed(exc, self.patience) from exc
                if not block:
                    raise _TryFailedError(
                        f"the connection ended after {have:,} of {num_bytes:,} bytes"
                    )
                out.write(block)
                out.flush()
                self.progress.advance((have + len(block)) // _MB - have // _MB)
                have += len(block)
                # A server that sends a byte now and then is never silent.
                if (seconds := time.monotonic() - since) >= self.patience.slow_s:
                    if (num_new := have - since_bytes) < self.patience.slow_bytes:
                        raise _TryFailedError(f"only {num_new:,} bytes came in {seconds:.0f} s")
                    since, since_bytes = time.monotonic(), have


class _RedirectHandler(urllib.request.HTTPRedirectHandler):
    """Follows redirects within HTTP without reading their bodies, which may have no end."""

    def http_error_302(self, req, fp, code, msg, headers):  # type: ignore[no-untyped-def]  # noqa: D102
        fp.close()
        if urlsplit(headers["Location"] or "").scheme == "ftp":  # the base class has no other
            raise URLError("redirected to FTP")
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _try_failed(exc: Exception, patience: Patience) -> _TryFailedError:
    """What an error of the network or the server means, and how many tries it is worth."""
    if isinstance(exc, HTTPError):
        exc.close()
        after = exc.headers.get("Retry-After") or ""  # its other form, a date, is not read
        return _TryFailedError(
            f"the server answered {exc.code} {_first_line(exc.reason)}".rstrip(),
            tries=None if exc.code in _TEMPORARY else 1,
            wait_s=float(after) if after.isascii() and after.isdigit() else 0.0,
        )
    if isinstance(exc, URLError):
        if not isinstance(exc.reason, OSError):
            return _TryFailedError(_first_line(exc.reason), tries=1)
        exc = exc.reason
    if isinstance(exc, ssl.SSLCertVerificationError):
        return _TryFailedError(
            f"its certificate is not trusted ({exc.verify_message}); if a proxy is in between, "
            "SSL_CERT_FILE can name its certificate",
            tries=1,
        )
    if isinstance(exc, socket.gaierror):
        return _TryFailedError(
            "its name can't be resolved (no network?)", tries=patience.tries_without_network
        )
    if isinstance(exc, TimeoutError):
        return _TryFailedError("the server stopped answering")
    if isinstance(exc, (ValueError, http.client.InvalidURL)):
        return _TryFailedError(f"an invalid address: {exc}", tries=1)
    if isinstance(exc, OSError):
        return _TryFailedError((exc.strerror or str(exc) or type(exc).__name__).lower())
    return _TryFailedError(f"a broken answer ({type(exc).__name__})")


def _first_line(text: object) -> str:
    """Of what servers and libraries say, which may be long."""
    return (str(text).strip().splitlines() or [""])[0][:200]
