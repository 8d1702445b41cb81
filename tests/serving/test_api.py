from __future__ import annotations

import io
import json
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from drawn_pictures import encoded, jpeg
from PIL import Image
from served_colours import Colours, picture
from starlette.testclient import TestClient

from pawsure.data import images
from pawsure.model.predictor import Predictor
from pawsure.serving.app import create_app
from pawsure.serving.guard import SECURITY_HEADERS
from pawsure.serving.settings import ServingSettings

JPEG = {"Content-Type": "image/jpeg"}


def client_of(predictor: Predictor, **settings: object) -> TestClient:
    app = create_app(predictor, name="colours", settings=ServingSettings(**settings))
    return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)


@pytest.fixture(scope="module")
def client(colours: Predictor) -> Iterator[TestClient]:
    with client_of(colours) as client:
        yield client


def send(client: TestClient, *pictures: bytes, query: str = "") -> httpx.Response:
    files = [("pictures", (f"{index}.jpg", data)) for index, data in enumerate(pictures)]
    return client.post(f"/v1/predict{query}", files=files)


def sentence(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    content = response.json()
    assert set(content) == {"error"}
    assert content["error"].endswith(".")
    return content["error"]


def bomb() -> bytes:
    """A PNG of 400 million pixels in a few hundred bytes."""
    data = bytearray(encoded(Image.new("L", (8, 8)), "PNG"))
    data[16:24] = (20_000).to_bytes(4, "big") * 2
    import zlib

    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


# Answers


@pytest.mark.parametrize("answer", ["red", "blue", "unsure", "neither"])
def test_a_picture_as_the_body_is_answered(client, answer):
    response = client.post("/v1/predict", content=picture(answer), headers=JPEG)
    (entry,) = response.json()["answers"]
    assert entry["answer"] == answer
    assert entry["path"] is None
    assert "evidence" not in entry


def test_answers_are_those_of_the_predictor(client, colours):
    data = jpeg(3)
    (entry,) = send(client, data).json()["answers"]
    assert entry == colours(data).to_dict() | {"path": "0.jpg"}


def test_many_pictures_are_answered_in_order(client):
    order = ["red", "blue", "neither", "blue", "red"]
    response = send(client, *(picture(answer) for answer in order))
    assert [entry["answer"] for entry in response.json()["answers"]] == order


def test_one_bad_picture_of_several_has_its_own_error(client):
    answers = send(client, picture("red"), b"not a picture", picture("blue")).json()["answers"]
    assert [entry.get("answer") for entry in answers] == ["red", None, "blue"]
    assert set(answers[1]) == {"path", "error"}


def test_evidence_comes_when_it_is_asked_for_and_its_mean_is_the_log_odds(client, colours):
    data = picture("red")
    (entry,) = send(client, data, query="?evidence=true").json()["answers"]
    outputs = colours.predict_batch(images.read(data, size_px=colours.size_px)[np.newaxis])
    blue, red = outputs.logit[0, [colours.labels.index(label) for label in ("blue", "red")]]
    assert np.mean(entry["evidence"]) == pytest.approx(red - blue, abs=1e-3)


def test_the_card_tells_labels_and_limits(client):
    card = client.get("/v1/model").json()
    assert card["labels"] == ["blue", "red"]
    assert card["limits"]["max_pictures"] == 32


def test_the_name_of_a_file_is_only_repeated(client):
    files = [("pictures", ("../../etc/pass\u2028wd", picture("red")))]
    response = client.post("/v1/predict", files=files)
    assert response.json()["answers"][0]["path"] == "../../etc/pass\u2028wd"
    assert "etc" not in str(response.headers)


# Refusals, each with its own status and a sentence


def test_what_is_no_picture_is_415(client):
    assert "not a picture" in sentence(send(client, b"hello" * 50), 415)


def test_another_content_type_is_415(client):
    response = client.post("/v1/predict", content=b"{}", headers={"Content-Type": "text/json"})
    assert "image/*" in sentence(response, 415)


def test_an_empty_body_is_415(client):
    sentence(client.post("/v1/predict", content=b"", headers=JPEG), 415)


def test_a_truncated_picture_is_422(client):
    data = jpeg(1, width=300, height=200)
    assert "truncated" in sentence(send(client, data[: len(data) // 2]), 422)


def test_a_bomb_is_413_before_it_is_decoded(client):
    assert "pixels" in sentence(send(client, bomb()), 413)


def test_too_many_pixels_are_413(colours):
    with client_of(colours, max_pixels=100) as client:
        assert "more than the limit" in sentence(send(client, picture("red")), 413)


def test_too_many_bytes_are_413(colours):
    with client_of(colours, max_picture_bytes=500) as client:
        sentence(client.post("/v1/predict", content=b"x" * 501, headers=JPEG), 413)
        sentence(send(client, b"x" * 501), 413)


def test_a_body_that_grows_beyond_what_it_announced_nothing_of_is_413(colours):
    with client_of(colours, max_picture_bytes=500) as client:
        body = iter([b"x" * 400, b"x" * 400])
        sentence(client.post("/v1/predict", content=body, headers=JPEG), 413)


def test_too_many_pictures_are_413(colours):
    with client_of(colours, max_pictures=2) as client:
        assert "2 pictures" in sentence(send(client, *[picture("red")] * 3), 413)


def test_none_readable_of_several_is_an_error(client):
    assert "None of the 2 pictures" in sentence(send(client, b"a" * 99, b"b" * 99), 415)


@pytest.mark.parametrize(
    ("content_type", "body", "part"),
    [
        ("multipart/form-data", b"--x\r\n", "boundary"),
        ("multipart/form-data; boundary=x", b"", "cut short"),
        ("multipart/form-data; boundary=x", b"garbage", "malformed"),
        ("multipart/form-data; boundary=x", b"--x--\r\n", "no pictures"),
        ("multipart/form-data; boundary=" + "x" * 400, b"--x--\r\n", "malformed"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="pictures"\r\n\r\nabc',
            "cut short",
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc\r\n--x--\r\n',
            "named 'pictures'",
        ),
    ],
)
def test_broken_forms_are_400(client, content_type, body, part):
    headers = {"Content-Type": content_type}
    assert part in sentence(client.post("/v1/predict", content=body, headers=headers), 400)


def test_a_wrong_parameter_is_422(client):
    assert "'evidence'" in sentence(send(client, picture("red"), query="?evidence=perhaps"), 422)


def test_no_trace_leaves_the_server(colours, monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret of the inside")

    with client_of(colours) as client:
        monkeypatch.setattr(Colours, "answer", broken)
        response = send(client, picture("red"))
    assert "secret" not in sentence(response, 500)
    assert "Traceback" not in response.text


def test_other_addresses_and_methods_are_sentences_too(client):
    sentence(client.get("/etc/passwd"), 404)
    sentence(client.get("/page/../app.py"), 404)
    response = client.delete("/v1/predict")
    sentence(response, 405)
    assert response.headers["Allow"] == "POST"


# Who may ask


def test_every_response_carries_the_security_headers(client):
    for address in ("/", "/v1/model", "/nothing", "/page/main.js", "/openapi.json"):
        headers = client.get(address).headers
        for name, value in SECURITY_HEADERS:
            assert headers[name.decode()] == value.decode()


def test_without_the_token_nobody_is_answered(colours):
    with client_of(colours, token="correct horse") as client:
        for address in ("/v1/model", "/metrics", "/v2/models/colours"):
            response = client.get(address)
            assert "token" in sentence(response, 401)
            assert response.headers["WWW-Authenticate"] == "Bearer"
            for wrong in ("Bearer wrong horse", "Basic correct horse", "correct horse", "Bearer"):
                sentence(client.get(address, headers={"Authorization": wrong}), 401)
        right = {"Authorization": "Bearer correct horse"}
        assert client.get("/v1/model", headers=right).status_code == 200
        assert [client.get(open_).status_code for open_ in ("/", "/healthz", "/readyz")] == [
            200
        ] * 3


def test_other_host_names_are_refused_on_a_local_server(colours):
    with client_of(colours) as client:
        for name in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", ""):
            sentence(client.get("/v1/model", headers={"Host": name}), 421)
        for name in ("localhost", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST:1"):
            assert client.get("/v1/model", headers={"Host": name}).status_code == 200
    with client_of(colours, local_only=False) as client:
        assert client.get("/v1/model", headers={"Host": "cats.example"}).status_code == 200


# Health, metrics, page


def test_ready_only_while_it_is(colours):
    app = create_app(colours)
    service = app.state.service
    assert not service.ready
    with TestClient(app, base_url="http://localhost") as client:
        assert client.get("/readyz").json() == {"status": "ready"}
        service.ready = False
        assert client.get("/readyz").status_code == 503
        assert client.get("/v2/health/ready").status_code == 503
        assert client.get("/healthz").status_code == 200


def test_metrics_count_what_happened(colours):
    with client_of(colours) as client:
        send(client, picture("red"), picture("neither"))
        client.get("/../secret-word")
        page = client.get("/metrics").text
    assert 'pawsure_pictures_total{answer="red"} 1.0' in page
    assert 'pawsure_pictures_total{answer="neither"} 1.0' in page
    assert 'pawsure_requests_total{method="POST",route="/v1/predict",status="200"} 1.0' in page
    assert "pawsure_request_seconds_bucket" in page
    assert "pawsure_waiting_pictures 0.0" in page
    assert "secret-word" not in page


def test_the_page_names_no_other_host(client):
    for name in ("index.html", "style.css", "main.js", "api.js", "card.js", "heat.js", "words.js"):
        text = client.get("/" if name == "index.html" else f"/page/{name}").text
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
        assert "https://" not in text


def test_the_page_is_not_sent_twice(client):
    first = client.get("/page/style.css")
    again = client.get("/page/style.css", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


# Open Inference Protocol


def tensor(pictures: np.ndarray) -> dict:
    return {
        "name": "image",
        "datatype": "UINT8",
        "shape": list(pictures.shape),
        "data": pictures.ravel().tolist(),
    }


def two_pictures(size_px: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, size_px, size_px, 3), dtype=np.uint8)


def test_tensors_are_answered_as_the_predictor_does(client, colours):
    pictures = two_pictures(colours.size_px)
    described = client.get("/v2/models/colours").json()
    response = client.post(
        "/v2/models/colours/infer", json={"id": "7", "inputs": [tensor(pictures)]}
    ).json()
    assert (response["model_name"], response["id"]) == ("colours", "7")
    expected = colours.predict_batch(pictures)
    assert [t["name"] for t in response["outputs"]] == [t["name"] for t in described["outputs"]]
    for found in response["outputs"]:
        values = np.reshape(found["data"], found["shape"])
        np.testing.assert_allclose(values, getattr(expected, found["name"]), rtol=1e-6)


def test_binary_tensors_go_both_ways(client, colours):
    pictures = two_pictures(colours.size_px)
    asked = tensor(pictures) | {"parameters": {"binary_data_size": pictures.nbytes}}
    del asked["data"]
    outputs = [{"name": "probability", "parameters": {"binary_data": True}}]
    head = json.dumps({"inputs": [asked], "outputs": outputs}).encode()
    response = client.post(
        "/v2/models/colours/infer",
        content=head + pictures.tobytes(),
        headers={"Inference-Header-Content-Length": str(len(head))},
    )
    length = int(response.headers["Inference-Header-Content-Length"])
    (told,) = json.loads(response.content[:length])["outputs"]
    values = np.frombuffer(response.content[length:], "<f4").reshape(told["shape"])
    np.testing.assert_array_equal(values, colours.predict_batch(pictures).probability)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "picture"},
        {"datatype": "FP32"},
        {"shape": [2, 8, 8, 3]},
        {"shape": [0, 16, 16, 3]},
        {"shape": "2"},
        {"data": [1, 2, 3]},
        {"data": [[1], [2, 3]]},
        {"data": [256] * 16 * 16 * 3 * 2},
        {"data": [-1] * 16 * 16 * 3 * 2},
        {"data": [0.5] * 16 * 16 * 3 * 2},
        {"data": [True] * 16 * 16 * 3 * 2},
        {"data": [10**30] * 16 * 16 * 3 * 2},
        {"data": None},
        {"data": "abc"},
        {"parameters": {"binary_data_size": 5}},
        {"parameters": 5},
    ],
)
def test_tensors_that_do_not_fit_are_400(client, change):
    asked = tensor(two_pictures(16)) | change
    sentence(client.post("/v2/models/colours/infer", json={"inputs": [asked]}), 400)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 100_000, b'{"inputs": 5}', b"\xff"])
def test_bodies_that_are_no_requests_are_400(client, body):
    sentence(client.post("/v2/models/colours/infer", content=body), 400)


def test_other_models_are_404(client):
    for method, address in (("GET", ""), ("GET", "/ready"), ("POST", "/infer")):
        assert "'colours'" in sentence(client.request(method, f"/v2/models/dogs{address}"), 404)


def test_too_many_tensors_are_413(colours):
    with client_of(colours, max_pictures=1) as client:
        body = {"inputs": [tensor(two_pictures(16))]}
        sentence(client.post("/v2/models/colours/infer", json=body), 413)


def test_a_form_may_come_in_any_pieces(client):
    """A form whose boundary comes in pieces is the same form."""
    request = httpx.Request(
        "POST", "http://localhost/", files=[("pictures", ("a.jpg", picture("red")))]
    )
    body = io.BytesIO(request.read())
    pieces = iter(lambda: body.read(7), b"")
    headers = {"Content-Type": request.headers["Content-Type"]}
    response = client.post("/v1/predict", content=pieces, headers=headers)
    assert response.json()["answers"][0]["answer"] == "red"
