"""What any client of HTTP may ask: methods, forms of addresses, hosts, origins, proxies."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urljoin, urlsplit

import httpx
import numpy as np
import pytest
from served_colours import Colours, picture, running
from starlette.testclient import TestClient

from pawsure.errors import UsageError
from pawsure.model.predictor import Outputs, Predictor
from pawsure.serving.app import create_app
from pawsure.serving.batching import Batcher
from pawsure.serving.guard import SECURITY_HEADERS
from pawsure.serving.refusals import Busy
from pawsure.serving.settings import ServingSettings

JPEG = {"Content-Type": "image/jpeg"}
READABLE = (
    "/",
    "/docs",
    "/page/main.js",
    "/openapi.json",
    "/healthz",
    "/readyz",
    "/v1/model",
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
    "/v2/models/colours",
    "/v2/models/colours/ready",
    "/v2/models/colours/versions/1",
    "/v2/models/colours/versions/1/ready",
)
WRITABLE = (
    "/v1/predict",
    "/v2/models/colours/infer",
    "/v2/models/colours/versions/1/infer",
)


@contextmanager
def client_of(predictor: Predictor, **settings: object) -> Iterator[TestClient]:
    app = create_app(predictor, name="colours", settings=ServingSettings(**settings))
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def client(colours: Predictor) -> Iterator[TestClient]:
    with client_of(colours) as client:
        yield client


def raw(address: str, *lines: str, body: bytes = b"") -> tuple[int, http.client.HTTPMessage, bytes]:
    """One request as it is written, and what comes back until the server closes."""
    with connect(address) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        response = http.client.HTTPResponse(connection, method=lines[0].partition(" ")[0])
        response.begin()
        return response.status, response.headers, response.read()


def connect(address: str) -> socket.socket:
    parts = urlsplit(address)
    return socket.create_connection((parts.hostname, parts.port), timeout=10)


# Methods


@pytest.mark.parametrize("path", READABLE)
def test_head_is_get_without_the_body(address, path):
    got = httpx.get(address + path)
    head = httpx.head(address + path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "content-type", "etag", "content-security-policy"):
        assert head.headers.get(name) == got.headers.get(name)
    assert int(head.headers["content-length"]) == len(got.content)


def test_head_leaves_the_connection_fit_for_the_next_request(address):
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
    for path, status in (("/v1/model", 200), ("/nothing", 404), ("/v1/predict", 405)):
        connection.request("HEAD", path)
        response = connection.getresponse()
        assert (response.status, response.read()) == (status, b"")
    connection.request("GET", "/healthz")
    assert connection.getresponse().read() == b'{"status": "alive"}'


def test_head_is_counted_as_what_it_is(colours):
    with client_of(colours) as client:
        client.head("/healthz")
        page = client.get("/metrics").text
    assert 'pawsure_requests_total{method="HEAD",route="/healthz",status="200"} 1.0' in page


@pytest.mark.parametrize("path", READABLE + WRITABLE)
def test_options_say_what_is_allowed(client, path):
    response = client.options(path)
    expected = "OPTIONS, POST" if path in WRITABLE else "GET, HEAD, OPTIONS"
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["allow"] == expected


def test_options_need_no_token_and_do_no_work(colours):
    with client_of(colours, token="correct horse") as client:
        assert client.options("/healthz").status_code == 204


def test_options_of_the_whole_server_break_nothing(address):
    assert raw(address, "OPTIONS * HTTP/1.1", "Host: localhost", "Connection: close")[0] < 500


def test_options_of_nothing_are_404_with_a_sentence(client):
    response = client.options("/nothing")
    assert response.status_code == 404
    assert response.json()["error"].endswith(".")


def test_a_wrong_method_is_405_and_names_the_right_ones(client):
    assert client.put("/healthz").headers["allow"] == "GET, HEAD"
    assert client.get("/v1/predict").headers["allow"] == "POST"


# Addresses


@pytest.mark.parametrize("path", READABLE[2:])
def test_a_slash_at_the_end_changes_nothing(client, path):
    response = client.get(f"{path}/", follow_redirects=False)
    assert (response.status_code, response.content) == (200, client.get(path).content)


def test_a_slash_at_the_end_costs_an_upload_no_second_round(client):
    response = client.post("/v1/predict/", content=picture("red"), headers=JPEG)
    assert response.json()["answers"][0]["answer"] == "red"


@pytest.mark.parametrize("path", ["/v1/model/", "/metrics/", "/v2/models/colours/", "/p/v1/model"])
def test_no_form_of_an_address_goes_round_the_token(colours, path):
    with client_of(colours, token="correct horse", root_path="/p") as client:
        assert client.get(path).status_code == 401


def test_metadata_and_inference_know_the_version(client, colours):
    assert client.get("/v2/models/colours").json()["versions"] == ["1"]
    pictures = np.zeros((1, colours.size_px, colours.size_px, 3), np.uint8)
    tensor = {"name": "image", "datatype": "UINT8", "shape": list(pictures.shape)}
    body = {"inputs": [tensor | {"data": pictures.ravel().tolist()}]}
    answers = [
        client.post(f"/v2/models/colours{version}/infer", json=body).json()
        for version in ("", "/versions/1")
    ]
    assert answers[0] == answers[1]
    for path in ("", "/ready", "/infer"):
        method = "POST" if path == "/infer" else "GET"
        response = client.request(method, f"/v2/models/colours/versions/2{path}", json=body)
        assert response.status_code == 404
        assert "version" in response.json()["error"]


class Counting(Colours):
    """Counts forward passes."""

    passes = 0

    def predict_batch(self, pictures: np.ndarray) -> Outputs:
        """Count, then answer."""
        self.passes += 1
        return super().predict_batch(pictures)


def test_the_network_runs_for_pictures_only(colours):
    model = Counting(colours.path, threads=1)
    size = model.size_px
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, size, size, 3]}
    body = {"inputs": [tensor | {"data": [0] * (size * size * 3)}]}
    with client_of(model) as client:
        warm = model.passes
        for path in READABLE:
            client.get(path)
        assert model.passes == warm
        for path in WRITABLE[1:]:
            assert client.post(path, json=body).status_code == 200
        assert model.passes == warm + 2


def test_parameters_that_are_null_are_none(client, colours):
    size = colours.size_px
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, size, size, 3]}
    tensor |= {"data": [0] * (size * size * 3), "parameters": None}
    body = {"id": None, "parameters": None, "inputs": [tensor], "outputs": None}
    assert client.post("/v2/models/colours/infer", json=body).status_code == 200


# Bodies and connections


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "gzip, identity"])
@pytest.mark.parametrize("path", WRITABLE)
def test_a_compressed_body_is_refused_with_the_way_out(client, path, coding):
    response = client.post(path, content=b"x" * 50, headers={"Content-Encoding": coding} | JPEG)
    assert response.status_code == 415
    assert "Content-Encoding" in response.json()["error"]
    assert response.headers["accept-encoding"] == "identity"


def test_identity_is_no_compression(client):
    headers = {"Content-Encoding": "identity"} | JPEG
    assert client.post("/v1/predict", content=picture("red"), headers=headers).status_code == 200


def test_whoever_waits_for_100_continue_gets_it(address):
    data = picture("red")
    with connect(address) as connection:
        lines = ["POST /v1/predict HTTP/1.1", "Host: localhost", "Content-Type: image/jpeg"]
        lines += [f"Content-Length: {len(data)}", "Expect: 100-continue", "", ""]
        connection.sendall("\r\n".join(lines).encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(data)
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert json.loads(response.read())["answers"][0]["answer"] == "red"


def test_whoever_waits_for_100_continue_is_refused_before_the_upload(serve):
    address = serve(max_picture_bytes=1000)
    status, headers, body = raw(
        address,
        "POST /v1/predict HTTP/1.1",
        "Host: localhost",
        "Content-Type: image/jpeg",
        "Content-Length: 100000",
        "Expect: 100-continue",
    )
    assert status == 413
    assert json.loads(body)["error"]
    assert headers["connection"] == "close"


def test_a_connection_outlives_errors(address):
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
    connection.connect()
    used = connection.sock
    asked = [
        ("GET", "/nothing", None, 404),
        ("DELETE", "/healthz", None, 405),
        ("POST", "/v1/predict", b"no picture", 415),
        ("POST", "/v1/predict?evidence=perhaps", picture("red"), 422),
        ("POST", "/v2/models/colours/infer", b"{", 400),
        ("POST", "/v1/predict", picture("red"), 200),
    ]
    for method, path, body, status in asked:
        connection.request(method, path, body=body, headers=JPEG if body else {})
        response = connection.getresponse()
        response.read()
        # One that was refused before its body was read is closed, by announcement.
        if response.getheader("connection") == "close":
            connection.connect()
            used = connection.sock
        assert response.status == status
        assert connection.sock is used


def test_an_upgrade_to_http_2_is_passed_over(address):
    data = picture("red")
    status, _, body = raw(
        address,
        "POST /v1/predict HTTP/1.1",
        "Host: localhost",
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQAAP__",
        "Content-Type: image/jpeg",
        f"Content-Length: {len(data)}",
        body=data,
    )
    assert (status, json.loads(body)["answers"][0]["answer"]) == (200, "red")


@pytest.mark.parametrize("line", ["GET / HTTP/1.1", "CONNECT localhost:80 HTTP/1.1"])
def test_what_is_no_http_gets_a_sentence(address, line):
    bad = [] if line.startswith("CONNECT") else ["Bad Header"]
    status, headers, body = raw(address, line, "Host: localhost", *bad)
    assert status == 400
    assert json.loads(body)["error"].endswith(".")
    assert headers["content-security-policy"]


def test_files_are_conditional_and_answers_in_no_cache(client):
    etag = client.get("/page/main.js").headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        response = client.get("/page/main.js", headers={"If-None-Match": known})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == etag
    changed = client.get("/page/main.js", headers={"If-None-Match": '"other"'})
    assert changed.status_code == 200
    answer = client.post("/v1/predict", content=picture("red"), headers=JPEG)
    assert answer.headers["cache-control"] == "no-store"


def test_an_error_of_the_server_carries_the_security_headers_too(colours, monkeypatch):
    with client_of(colours) as client:
        monkeypatch.setattr(client.app.state.service, "run", None)
        response = client.post("/v1/predict", content=picture("red"), headers=JPEG)
    assert response.status_code == 500
    assert response.json()["error"].endswith(".")
    for name, value in SECURITY_HEADERS:
        assert response.headers[name.decode()] == value.decode()


# Hosts


def status_for(client: TestClient, host: str) -> int:
    return client.get("/healthz", headers={"Host": host}).status_code


def test_names_that_are_allowed_are_answered_beside_this_machines(colours):
    names = ("Pets.example.org", "*.farm.example", "192.0.2.7", "2001:db8::1")
    with client_of(colours, allowed_hosts=names) as client:
        answered = ["pets.example.org", "PETS.example.org:443", "a.farm.example", "192.0.2.7:80"]
        answered += ["[2001:db8::1]:8000", "[2001:DB8:0::1]", "localhost:1", "127.0.0.1", "[::1]"]
        assert {host: status_for(client, host) for host in answered} == dict.fromkeys(answered, 200)
        others = ["example.org", "x.pets.example.org", "farm.example", "evilfarm.example", ""]
        others += ["pets.example.org.evil.example", "pets.example.org:80:80", "192.0.2.8", "[::2]"]
        assert {host: status_for(client, host) for host in others} == dict.fromkeys(others, 421)


def test_names_that_are_allowed_bound_an_open_server_too(colours):
    with client_of(colours, local_only=False, allowed_hosts=("pets.example.org",)) as client:
        assert status_for(client, "pets.example.org") == 200
        assert status_for(client, "other.example.org") == 421
    with client_of(colours, allowed_hosts=("*",)) as client:
        assert status_for(client, "any.example.org") == 200


def test_every_loopback_address_is_this_machine(client):
    assert status_for(client, "127.0.0.2:8000") == 200


def test_health_checks_of_http_1_0_name_no_host(address):
    assert raw(address, "OPTIONS /healthz HTTP/1.0")[0] == 204
    assert raw(address, "GET /healthz HTTP/1.0")[0] == 200
    assert raw(address, "GET /healthz HTTP/1.1")[0] == 400
    assert raw(address, "GET /healthz HTTP/1.1", "Host: evil", "Host: localhost")[0] == 400


@pytest.mark.parametrize("name", ["https://a.example", "a.example:80", "a.example/x", "", "a b"])
def test_what_is_no_host_name_is_refused_at_the_start(name):
    with pytest.raises(UsageError, match="--allow-host"):
        ServingSettings(allowed_hosts=(name,))


# Pages of other sites

SITE = "https://shop.example"


def preflight(client: TestClient, origin: str) -> httpx.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    return client.options("/v1/predict", headers=headers)


def test_without_cors_no_other_site_is_let_in(client):
    response = client.get("/v1/model", headers={"Origin": SITE})
    assert not [name for name in response.headers if name.startswith("access-control-")]
    assert "access-control-allow-origin" not in preflight(client, SITE).headers


def test_with_cors_the_site_may_ask_and_others_may_not(colours):
    with client_of(colours, cors_origins=(f"{SITE}:443",), token="correct horse") as client:
        allowed = preflight(client, SITE)
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == SITE
        assert "authorization" in allowed.headers["access-control-allow-headers"].lower()
        assert "content-security-policy" in allowed.headers
        assert (
            "access-control-allow-origin" not in preflight(client, "https://evil.example").headers
        )
        headers = {"Origin": SITE, "Authorization": "Bearer correct horse"} | JPEG
        answer = client.post("/v1/predict", content=picture("red"), headers=headers)
        assert answer.headers["access-control-allow-origin"] == SITE
        assert "Origin" in answer.headers["vary"]
        evil = headers | {"Origin": "https://evil.example"}
        answer = client.post("/v1/predict", content=picture("red"), headers=evil)
        assert "access-control-allow-origin" not in answer.headers


def test_refusals_can_be_read_by_the_site_too(colours, monkeypatch):
    with client_of(colours, cors_origins=(SITE,), token="correct horse") as client:
        origin = {"Origin": SITE}
        right = origin | {"Authorization": "Bearer correct horse"}
        refused = [
            client.get("/v1/model", headers=origin),
            client.get("/nothing", headers=origin),
            client.post("/v1/predict", content=b"x", headers=right | JPEG),
        ]
        monkeypatch.setattr(client.app.state.service, "run", None)
        refused.append(client.post("/v1/predict", content=picture("red"), headers=right | JPEG))
    assert [response.status_code for response in refused] == [401, 404, 415, 500]
    assert {response.headers["access-control-allow-origin"] for response in refused} == {SITE}


def test_a_full_server_says_so_to_the_site(serve, monkeypatch):
    address = serve(cors_origins=("*",))
    busy = Busy("There is no room.", retry_after_s=1)
    monkeypatch.setattr(Batcher, "lack_of_room", lambda *_: busy)
    headers = {"Origin": SITE} | JPEG
    response = httpx.post(f"{address}/v1/predict", content=picture("red"), headers=headers)
    assert response.status_code == 503
    assert response.headers["access-control-allow-origin"] == "*"
    assert "Retry-After" in response.headers["access-control-expose-headers"]


@pytest.mark.parametrize("origin", ["shop.example", "https://shop.example/", "null", "https://a b"])
def test_what_is_no_origin_is_refused_at_the_start(origin):
    with pytest.raises(UsageError, match="--cors"):
        ServingSettings(cors_origins=(origin,))


# Proxies


class Links(HTMLParser):
    """Collects what a page loads and links to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep addresses."""
        self.found += [value for name, value in attrs if name in ("href", "src") and value]


@contextmanager
def proxy(target: str, prefix: str, *, strips: bool) -> Iterator[str]:
    """A reverse proxy that serves `target` under a prefix, and nothing else."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith(f"{prefix}/"):
                self.send_error(404)
                return
            path = self.path.removeprefix(prefix) if strips else self.path
            length = int(self.headers.get("Content-Length", 0))
            response = httpx.request(
                self.command,
                target + path,
                content=self.rfile.read(length),
                headers={"Host": "pets.example.org", "Content-Type": self.headers["Content-Type"]}
                if length
                else {"Host": "pets.example.org"},
            )
            self.send_response(response.status_code)
            for name in ("content-type", "location", "content-length"):
                if name in response.headers:
                    self.send_header(name, response.headers[name])
            self.end_headers()
            self.wfile.write(response.content)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{prefix}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("root_path", "strips"), [("", True), ("/tools/pets", True), ("/tools/pets/", False)]
)
def test_everything_works_under_the_prefix_of_a_proxy(colours, root_path, strips):
    settings = {"allowed_hosts": ("pets.example.org",), "root_path": root_path}
    with (
        running(colours, **settings) as target,
        proxy(target, "/tools/pets", strips=strips) as root,
        httpx.Client(follow_redirects=True) as client,
    ):
        visited: set[str] = set()
        waiting = [f"{root}/", f"{root}/docs", f"{root}/docs/"]
        while waiting:
            address = waiting.pop()
            response = client.get(address)
            assert response.status_code == 200, address
            visited.add(address)
            # Redirects change what relative addresses are relative to.
            found = [urljoin(str(response.url), link) for link in links_of(response)]
            waiting += [link for link in found if "#" not in link and link not in visited]
        assert {f"{root}/page/style.css", f"{root}/page/words.js", f"{root}/v1/model"} <= visited
        answer = client.post(f"{root}/v1/predict", content=picture("red"), headers=JPEG)
        assert answer.json()["answers"][0]["answer"] == "red"
        servers = client.get(f"{root}/openapi.json").json().get("servers")
        assert servers == ([{"url": "/tools/pets"}] if root_path else None)


def links_of(response: httpx.Response) -> list[str]:
    """What a file of the page asks for, by HTML, by import or by fetch."""
    kind = response.headers["content-type"]
    if kind.startswith("text/html"):
        return Links(response.text).found
    if not kind.startswith("text/javascript"):
        return []
    imports = re.findall(r'from "(.+?)"', response.text)
    page = "../"  # what scripts fetch is relative to the page, one above the scripts
    asked = re.findall(r'(?:fetch|request)\("([^"?]+)', response.text)
    return imports + [page + path for path in asked if path != "v1/predict"]


def test_the_prefix_itself_leads_to_the_page(colours):
    with client_of(colours, root_path="/pets") as client:
        response = client.get("/pets", follow_redirects=False)
        assert (response.status_code, response.headers["location"]) == (308, "/pets/")
        assert "content-security-policy" in response.headers
        assert client.get("/pets/").text == client.get("/").text


@pytest.mark.parametrize("path", ["/v1", "/docs/x", "https://a/b", "/a?b", "/a//b", "/ä"])
def test_what_is_no_prefix_is_refused_at_the_start(path):
    with pytest.raises(UsageError, match="--root-path"):
        ServingSettings(root_path=path)
