from __future__ import annotations

import hashlib
import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unreliable_server import Told, UnreliableServer, raw, status, whole

from pawsure.data import downloads
from pawsure.data.disk_space import check_space
from pawsure.data.downloads import Patience, fetch
from pawsure.data.remote_files import RemoteFile, is_verified, verify
from pawsure.errors import DownloadError

CONTENT = random.Random(0).randbytes(3_500_000)
OTHER = random.Random(1).randbytes(len(CONTENT))
QUICK = Patience(timeout_s=0.3, tries=3, pause_s=0.001, longest_pause_s=0.002, slow_s=0.3)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def server() -> Iterator[UnreliableServer]:
    with UnreliableServer().running() as server:
        yield server


def published(*urls: str, content: bytes = CONTENT) -> RemoteFile:
    return RemoteFile(
        name="a.zip",
        urls=urls,
        num_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def got(path: Path, *urls: str, told: Told | None = None, patience: Patience = QUICK) -> bytes:
    fetch(published(*urls), path, progress=told or Told(), patience=patience)
    return path.read_bytes()


def beginning(path: Path, content: bytes) -> None:
    """What a process that was killed left."""
    path.with_name("a.zip.part").write_bytes(content)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "a.zip"


class TestAGoodServer:
    def test_the_file_and_its_record_are_all_that_is_left(self, server, path):
        url = server.serve("/a", whole(CONTENT))
        assert got(path, url) == CONTENT
        assert sorted(os.listdir(path.parent)) == ["a.zip", "a.zip.checked"]
        assert is_verified(path, published(url))
        ((_, headers),) = server.requests
        assert headers["Accept-Encoding"] == "identity"
        assert headers["User-Agent"].startswith("pawsure/")

    def test_without_a_length(self, server, path):
        assert got(path, server.serve("/a", whole(CONTENT, length=False))) == CONTENT

    def test_redirects_are_followed(self, server, path):
        end = server.serve("/end", whole(CONTENT))
        middle = server.serve("/middle", status(307, Location=end))
        assert got(path, server.serve("/a", status(302, Location=middle))) == CONTENT

    def test_megabytes_are_told(self, server, path):
        told = Told()
        got(path, server.serve("/a", whole(CONTENT)), told=told)
        assert told.bars == [("Downloading a.zip", 3, "MB"), ("Checking a.zip.part", 4, "MB")]
        assert told.steps[0] == 3
        assert not told.open
        assert told.said == []


class TestCutConnections:
    def test_the_rest_is_asked_for(self, server, path):
        url = server.serve("/a", whole(CONTENT, cut_after=1_000_000), whole(CONTENT))
        told = Told()
        assert got(path, url, told=told) == CONTENT
        assert server.ranges() == [None, "bytes=1000000-"]
        assert told.said == [
            "a.zip: the connection ended after 1,000,000 of 3,500,000 bytes; trying again in 0 s."
        ]

    def test_as_often_as_it_takes_if_something_comes_each_time(self, server, path):
        url = server.serve("/a", whole(CONTENT, cut_after=200_000))
        assert got(path, url) == CONTENT
        assert len(server.requests) == 18  # 17.5 times 200,000 bytes

    def test_not_for_ever_if_next_to_nothing_comes(self, server, path):
        url = server.serve("/a", whole(CONTENT, cut_after=10))
        with pytest.raises(DownloadError, match="connection ended after 30 of 3,500,000 bytes"):
            got(path, url)
        assert len(server.requests) == QUICK.tries
        assert path.with_name("a.zip.part").read_bytes() == CONTENT[:30]
        assert not path.exists()

    @settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(cuts=st.lists(st.integers(0, 60_000), max_size=5), honest=st.lists(st.booleans()))
    def test_wherever_it_is_cut_the_bytes_are_the_same(self, server, tmp_path, cuts, honest):
        """Property: cuts anywhere, ranges known or not: the file is right."""
        content = CONTENT[:50_000]
        answers = [
            whole(content, cut_after=cut, ranges=all(honest[i : i + 1]))
            for i, cut in enumerate(cuts)
        ]
        url = server.serve("/a", *answers, whole(content))
        path = tmp_path / "a.zip"
        patience = Patience(timeout_s=1, tries=10, pause_s=0, slow_bytes=0)
        fetch(published(url, content=content), path, patience=patience)
        assert path.read_bytes() == content
        path.unlink()


class TestGoingOn:
    def test_with_what_a_killed_process_left(self, server, path):
        url = server.serve("/a", whole(CONTENT))
        beginning(path, CONTENT[:2_000_000])
        told = Told()
        assert got(path, url, told=told) == CONTENT
        assert server.ranges() == ["bytes=2000000-"]
        assert told.steps[0] == 3

    def test_with_nothing_left_to_fetch(self, server, path):
        beginning(path, CONTENT)
        assert got(path, server.serve("/a", status(500))) == CONTENT
        assert server.requests == []

    def test_anew_where_the_server_has_another_version(self, server, path):
        beginning(path, OTHER[:2_000_000])
        assert got(path, server.serve("/a", whole(CONTENT))) == CONTENT
        assert server.ranges() == ["bytes=2000000-", None]

    def test_anew_where_the_file_changes_between_tries(self, server, path):
        url = server.serve("/a", whole(OTHER, cut_after=9), whole(CONTENT))
        told = Told()
        assert got(path, url, told=told) == CONTENT
        assert server.ranges() == [None, "bytes=9-", None]
        assert "did not fit" in told.said[-1]

    def test_anew_where_the_server_knows_no_ranges(self, server, path):
        url = server.serve("/a", whole(CONTENT, ranges=False))
        beginning(path, OTHER[:2_000_000])
        assert got(path, url) == CONTENT

    def test_anew_where_what_lies_there_is_too_long(self, server, path):
        url = server.serve("/a", whole(CONTENT))
        beginning(path, CONTENT + b"x")
        told = Told()
        assert got(path, url, told=told) == CONTENT
        assert server.ranges() == [None]
        assert told.said == []

    @pytest.mark.parametrize(
        "told", ["bytes 5-9/3500000", "bytes 9-3499999/99", "bytes 9-/*", "sheep 9-9/9", ""]
    )
    def test_anew_where_the_server_sends_another_range(self, server, path, told):
        odd = raw(f"HTTP/1.1 206 X\r\nContent-Range: {told}\r\n\r\n".encode(), CONTENT[9:])
        url = server.serve("/a", odd, whole(CONTENT))
        beginning(path, CONTENT[:9])
        assert got(path, url) == CONTENT
        assert server.ranges() == ["bytes=9-", None]

    def test_anew_where_the_server_has_less_than_is_there(self, server, path):
        url = server.serve("/a", status(416), whole(CONTENT))
        beginning(path, CONTENT[:9])
        assert got(path, url) == CONTENT
        assert server.ranges() == ["bytes=9-", None]

    def test_elsewhere_from_where_it_ended(self, server, path):
        first = server.serve("/a", whole(CONTENT, cut_after=200_000), status(404))
        second = server.serve("/b", whole(CONTENT))
        assert got(path, first, second) == CONTENT
        assert server.ranges()[-1] == "bytes=200000-"


class TestWrongBytes:
    def test_are_named_and_thrown_away(self, server, path):
        url = server.serve("/a", whole(OTHER))
        with pytest.raises(
            DownloadError, match="downloaded a.zip is not what was published: its SHA-256 is"
        ):
            got(path, url)
        assert os.listdir(path.parent) == []
        assert len(server.requests) == 1

    def test_of_another_length_are_not_even_fetched(self, server, path):
        page = b"<html>Please sign in</html>"
        url = server.serve("/a", whole(page))
        with pytest.raises(DownloadError, match=r"27 bytes \(text/plain\); .* has 3,500,000"):
            got(path, url)
        assert os.listdir(path.parent) == []

    def test_are_not_tried_again_but_other_addresses_are(self, server, path):
        wrong = server.serve("/a", whole(b"wrong"))
        assert got(path, wrong, server.serve("/b", whole(CONTENT))) == CONTENT

    def test_more_than_was_published_is_not_written(self, server, path):
        url = server.serve("/a", whole(CONTENT + OTHER, length=False))
        assert got(path, url) == CONTENT


class TestErrors:
    @pytest.mark.parametrize("code", [400, 401, 403, 404, 410, 204, 304, 418])
    def test_what_will_not_change_is_not_tried_again(self, server, path, code):
        with pytest.raises(
            DownloadError, match=f"can't be downloaded .*the server answered {code}"
        ):
            got(path, server.serve("/a", status(code)))
        assert len(server.requests) == 1

    @pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
    def test_what_may_change_is(self, server, path, code):
        assert got(path, server.serve("/a", status(code), whole(CONTENT))) == CONTENT

    def test_but_not_for_ever(self, server, path):
        with pytest.raises(DownloadError, match="127.0.0.1: the server answered 503"):
            got(path, server.serve("/a", status(503)))
        assert len(server.requests) == QUICK.tries

    def test_pauses_grow_and_heed_the_server(self, server, path, monkeypatch):
        pauses: list[float] = []
        monkeypatch.setattr(downloads.time, "sleep", pauses.append)
        later = status(503, Retry_After="20")
        much_later = status(503, Retry_After="86400")
        url = server.serve("/a", *[status(500)] * 3, later, much_later, whole(CONTENT))
        got(path, url, patience=Patience())
        assert all(
            most / 2 <= pause <= most for most, pause in zip((1, 2, 4), pauses, strict=False)
        )
        assert pauses[3:] == [20, 60]

    def test_a_redirect_to_nowhere(self, server, path):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            nowhere = f"http://127.0.0.1:{unused.getsockname()[1]}/"
            with pytest.raises(DownloadError, match="connection refused"):
                got(path, server.serve("/a", status(302, Location=nowhere)))
        assert len(server.requests) == QUICK.tries

    @pytest.mark.parametrize(
        "to", ["file:///etc/passwd", "ftp://127.0.0.1/a", "http://[", "data:,x", "http://x:y/"]
    )
    def test_a_redirect_out_of_http(self, server, path, to):
        with pytest.raises(DownloadError, match="a.zip can't be downloaded"):
            got(path, server.serve("/a", status(302, Location=to)))
        assert len(server.requests) == 1

    def test_a_redirect_in_a_circle(self, server, path):
        url = server.serve("/a")
        server.serve("/a", status(302, Location=url))
        with pytest.raises(DownloadError, match="302 .*infinite loop"):
            got(path, url)

    def test_a_redirect_whose_page_has_no_end(self, server, path):
        end = server.serve("/end", whole(CONTENT))
        endless = raw(f"HTTP/1.1 302 X\r\nLocation: {end}\r\n\r\n".encode(), then_hang=True)
        assert got(path, server.serve("/a", endless)) == CONTENT

    @pytest.mark.parametrize("noise", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200", b"\0" * 70_000])
    def test_what_is_not_http(self, server, path, noise):
        with pytest.raises(DownloadError, match="a.zip can't be downloaded"):
            got(path, server.serve("/a", raw(noise)))
        assert len(server.requests) == QUICK.tries

    def test_a_broken_chunk(self, server, path):
        broken = raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"ff\r\nshort")
        assert got(path, server.serve("/a", broken, whole(CONTENT))) == CONTENT

    def test_no_network(self, path, monkeypatch):
        def unknown(*_: object, **__: object) -> None:
            raise socket.gaierror(-2, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        told = Told()
        with pytest.raises(
            DownloadError, match="nowhere.invalid: its name can't be resolved \\(no n"
        ):
            got(path, "https://nowhere.invalid/a", told=told)
        assert len(told.said) == 1


class TestHanging:
    def test_before_it_answers(self, server, path):
        url = server.serve("/a", raw(then_hang=True), whole(CONTENT))
        told = Told()
        assert got(path, url, told=told) == CONTENT
        assert "the server stopped answering" in told.said[0]

    def test_in_the_middle(self, server, path):
        url = server.serve("/a", whole(CONTENT, hang_after=1_000_000), whole(CONTENT))
        assert got(path, url) == CONTENT
        assert server.ranges() == [None, "bytes=1000000-"]

    def test_for_ever(self, server, path):
        url = server.serve("/a", raw(then_hang=True))
        with pytest.raises(DownloadError, match="stopped answering"):
            got(path, url, patience=Patience(timeout_s=0.1, tries=2, pause_s=0))

    def test_with_a_byte_now_and_then(self, server, path):
        drip = raw(b"HTTP/1.1 200 OK\r\n\r\n", *[b"x"] * 100, every_s=0.05)
        told = Told()
        assert got(path, server.serve("/a", drip, whole(CONTENT)), told=told) == CONTENT
        assert "bytes came in 0 s" in told.said[0]


class TestTheDisk:
    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device")
    def test_full(self, server, path, monkeypatch):
        url = server.serve("/a", whole(CONTENT))

        with monkeypatch.context() as patch:
            patch.setattr(downloads, "open", lambda *_: open("/dev/full", "ab"), raising=False)  # noqa: SIM115
            with pytest.raises(
                DownloadError, match=r"a\.zip\.part .* the disk is full\. Make room"
            ):
                got(path, url)
        assert len(server.requests) == 1
        assert got(path, url) == CONTENT

    def test_too_small_from_the_start(self, tmp_path):
        with pytest.raises(DownloadError, match=r"MB free, and 1,000,000,000,100 MB are needed\."):
            check_space(tmp_path, 10**18)

    def test_a_folder_that_is_not_there(self, server, tmp_path):
        with pytest.raises(DownloadError, match="can't be written or read: no such file"):
            got(tmp_path / "none" / "a.zip", server.serve("/a", whole(CONTENT)))


class TestVerifiedFiles:
    def test_a_file_put_there_by_hand_is_checked_once(self, path):
        path.write_bytes(CONTENT)
        told = Told()
        verify(path, published(), progress=told)
        assert told.bars == [("Checking a.zip", 4, "MB")]
        assert is_verified(path, published())

    @pytest.mark.parametrize(
        ("content", "message"),
        [(CONTENT[:-1], "has 3,499,999 bytes; .* has 3,500,000"), (OTHER, "its SHA-256 is")],
    )
    def test_one_that_is_something_else_is_named(self, path, content, message):
        path.write_bytes(content)
        with pytest.raises(DownloadError, match=f"{path} .*{message}.* name it as DATA"):
            verify(path, published())
        assert path.exists()
        assert not is_verified(path, published())

    def test_a_change_is_noticed(self, path):
        path.write_bytes(CONTENT)
        verify(path, published())
        path.write_bytes(OTHER)
        os.utime(path, ns=(1, 1))
        assert not is_verified(path, published())

    def test_another_version_of_the_file_does_too(self, path):
        path.write_bytes(CONTENT)
        verify(path, published())
        assert not is_verified(path, published(content=OTHER))

    def test_a_damaged_record_is_ignored(self, path):
        path.write_bytes(CONTENT)
        path.with_name("a.zip.checked").write_bytes(b"\xff{")
        assert not is_verified(path, published())
