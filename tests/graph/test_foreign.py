"""Any frozen ONNX file as a backbone: what is taken, and what is refused in one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from foreign_networks import FEATURES, SIZE_PX, UNIT, network, save
from onnx import TensorProto, helper, numpy_helper

from pawsure.errors import WeightsError
from pawsure.graph import foreign
from pawsure.graph.foreign import content_hash, declared, foreign_graph
from pawsure.graph.head import attach_head
from pawsure.graph.scaling import standardised
from pawsure.network.backbones import MINUS_ONE_TO_ONE

HALVES = standardised([0.5] * 3, [0.5] * 3)


def pictures(count: int = 3, size_px: int = SIZE_PX) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, size_px, size_px, 3), dtype=np.uint8)


def run(model: onnx.ModelProto | Path, given: dict[str, np.ndarray], output: str) -> np.ndarray:
    content = model.read_bytes() if isinstance(model, Path) else model.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return np.asarray(session.run([output], given)[0])


def features_of(path: Path, layout: str, dtype: type = np.float32) -> np.ndarray:
    """What the file itself gives, one picture at a time."""
    scaled = ((pictures() / 255 - 0.5) / 0.5).astype(dtype)
    if layout == "NCHW":
        scaled = scaled.transpose(0, 3, 1, 2)
    each = [run(path, {"image": one[np.newaxis]}, "features") for one in scaled]
    return np.concatenate(each)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("batch", ["batch", 1])
@pytest.mark.parametrize("side", [SIZE_PX, "side"])
@pytest.mark.parametrize("gives", ["map", "pooled", "tokens"])
def test_features_are_those_of_the_file_whatever_its_layout(tmp_path, layout, batch, side, gives):
    path = save(tmp_path, network(layout=layout, batch=batch, side=side, gives=gives))
    graph = foreign_graph(path, size_px=SIZE_PX, scaling=HALVES)
    found = run(graph, {"image": pictures()}, "feature_map")
    expected = features_of(path, layout)
    if gives == "map":
        expected = expected.transpose(0, 2, 3, 1) if layout == "NCHW" else expected
    elif gives == "tokens":
        expected = expected[:, 1:].reshape(3, 4, 4, FEATURES)
    else:
        expected = expected[:, np.newaxis, np.newaxis]
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_graph_is_valid_and_takes_a_head_although_names_collide(tmp_path):
    graph = foreign_graph(save(tmp_path, network()), size_px=SIZE_PX, scaling=HALVES)
    onnx.checker.check_model(graph, full_check=True)
    model = attach_head(graph, np.ones((FEATURES, 2), np.float32), np.zeros(2, np.float32))
    evidence = run(model, {"image": pictures()}, "evidence")
    assert evidence.shape == (3, 4, 4, 2)
    logit = run(model, {"image": pictures()}, "logit")
    np.testing.assert_allclose(evidence.mean(axis=(1, 2)), logit, rtol=1e-4)


@pytest.mark.parametrize("opset", [9, 11, 13, 17])
def test_older_operators_are_brought_up_to_date(tmp_path, opset):
    path = save(tmp_path, network(opset=opset))
    graph = foreign_graph(path, size_px=SIZE_PX, scaling=HALVES)
    assert graph.opset_import[0].version >= 13
    found = run(graph, {"image": pictures()}, "feature_map")
    np.testing.assert_allclose(found.transpose(0, 3, 1, 2), features_of(path, "NCHW"), atol=1e-5)


def test_newer_operators_stay_as_they_are(tmp_path):
    path = save(tmp_path, network(opset=20))
    graph = foreign_graph(path, size_px=SIZE_PX, scaling=HALVES)
    model = attach_head(graph, np.ones((FEATURES, 2), np.float32), np.zeros(2, np.float32))
    assert run(model, {"image": pictures()}, "probability").shape == (3, 2)


def test_half_precision_is_taken_and_features_become_float32(tmp_path):
    path = save(tmp_path, network(kind=TensorProto.FLOAT16))
    graph = foreign_graph(path, size_px=SIZE_PX, scaling=HALVES)
    found = run(graph, {"image": pictures()}, "feature_map")
    assert found.dtype == np.float32
    expected = features_of(path, "NCHW", np.float16).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_a_network_that_takes_bytes_gets_them(tmp_path):
    inner = network(layout="NHWC")
    cast = helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT)
    inner.graph.node[0].input[0] = "floats"
    inner.graph.node.insert(0, cast)
    inner.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    path = save(tmp_path, inner)
    assert declared(path).takes_bytes
    graph = foreign_graph(path, size_px=SIZE_PX, scaling=declared(path).scaling)
    found = run(graph, {"image": pictures()}, "feature_map")
    np.testing.assert_allclose(found, run(path, {"image": pictures()}, "features"), atol=1e-4)


def test_any_tensor_can_be_taken_and_what_it_does_not_need_is_left_out(tmp_path):
    path = save(tmp_path, network(gives="two"))
    with pytest.raises(WeightsError, match=r"outputs logits, features.*model\.output=logits"):
        foreign_graph(path, size_px=SIZE_PX, scaling=HALVES)
    for name in ("features", "embedding"):
        graph = foreign_graph(path, size_px=SIZE_PX, scaling=HALVES, output=name)
        assert not any("classes" in item.name for item in graph.graph.initializer)
    assert run(graph, {"image": pictures()}, "feature_map").shape == (3, 8, 8, 8)
    with pytest.raises(WeightsError, match="no tensor 'nothing'"):
        foreign_graph(path, size_px=SIZE_PX, scaling=HALVES, output="nothing")


def test_a_batch_that_is_written_into_a_reshape_is_freed(tmp_path):
    path = save(tmp_path, network(batch=1, gives="pooled", reshape_batch=1))
    graph = foreign_graph(path, size_px=SIZE_PX, scaling=HALVES)
    found = run(graph, {"image": pictures()}, "feature_map")
    np.testing.assert_allclose(found[:, 0, 0], features_of(path, "NCHW"), atol=1e-5)


def test_a_larger_batch_is_freed_too(tmp_path):
    path = save(tmp_path, network(batch=4, gives="pooled", reshape_batch=4))
    graph = foreign_graph(path, size_px=SIZE_PX, scaling=HALVES)
    assert run(graph, {"image": pictures()}, "feature_map").shape == (3, 1, 1, FEATURES)


def test_a_class_token_of_one_row_is_repeated_for_each_picture(tmp_path):
    model = network(batch=1, gives="tokens")
    flat = next(each for each in model.graph.initializer if each.name == "flat")
    flat.CopyFrom(numpy_helper.from_array(np.array([1, FEATURES, 16], np.int64), "flat"))
    reshape = next(node for node in model.graph.node if node.op_type == "Reshape")
    reshape.attribute.append(helper.make_attribute("allowzero", 1))
    token = np.random.default_rng(0).normal(0, 1, (1, 1, FEATURES)).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(token, "token"))
    model.graph.initializer.append(numpy_helper.from_array(np.ones(3, np.int64), "ones"))
    mean = next(node for node in model.graph.node if node.op_type == "ReduceMean")
    mean.CopyFrom(helper.make_node("Expand", ["token", "ones"], ["class"]))
    path = save(tmp_path, model)
    graph = foreign_graph(path, size_px=SIZE_PX, scaling=HALVES)
    found = run(graph, {"image": pictures()}, "feature_map")
    expected = features_of(path, "NCHW")[:, 1:].reshape(3, 4, 4, FEATURES)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_batch_that_cannot_be_freed_is_refused(tmp_path):
    model = network(batch=4, gives="pooled", reshape_batch=4)
    flat = next(each for each in model.graph.initializer if each.name == "flat")
    flat.CopyFrom(numpy_helper.from_array(np.array([2, 2 * FEATURES], np.int64), "flat"))
    with pytest.raises(WeightsError, match=r"several pictures.*dynamic batch\.$") as refused:
        foreign_graph(save(tmp_path, model), size_px=SIZE_PX, scaling=HALVES)
    assert "\n" not in str(refused.value)


def test_a_size_that_only_the_weights_tell_is_named_as_the_trouble(tmp_path):
    model = network(gives="tokens", side="side", says={})
    place = numpy_helper.from_array(np.ones((1, 17, FEATURES), np.float32), "place")
    model.graph.initializer.append(place)  # of a class token and 4 x 4 patches
    model.graph.node.append(helper.make_node("Add", ["features", "place"], ["placed"]))
    model.graph.output[0].name = "placed"
    path = save(tmp_path, model)
    assert foreign_graph(path, size_px=SIZE_PX, scaling=HALVES)
    with pytest.raises(WeightsError, match=r"pictures of 64 pixels .*--image-size"):
        foreign_graph(path, size_px=64, scaling=HALVES)


def test_a_network_whose_answers_depend_on_the_batch_is_refused(tmp_path):
    model = network(gives="pooled")
    model.graph.node[-1].output[0] = "alone"
    model.graph.node.append(
        helper.make_node("ReduceMean", ["alone"], ["mean"], axes=[0], keepdims=1)
    )
    model.graph.node.append(helper.make_node("Sub", ["alone", "mean"], ["features"]))
    with pytest.raises(WeightsError, match="depends on the others"):
        foreign_graph(save(tmp_path, model), size_px=SIZE_PX, scaling=HALVES)


def test_inner_graphs_keep_the_constants_that_they_take_from_around_them(tmp_path):
    model = network(gives="map")
    model.graph.node[-1].output[0] = "plain"
    body = helper.make_graph(
        [helper.make_node("Mul", ["plain", "twice"], ["doubled"])],
        "body",
        [],
        [helper.make_tensor_value_info("doubled", TensorProto.FLOAT, None)],
    )
    other = helper.make_graph(
        [helper.make_node("Identity", ["plain"], ["same"])],
        "other",
        [],
        [helper.make_tensor_value_info("same", TensorProto.FLOAT, None)],
    )
    for name, value in (("twice", np.array(2, np.float32)), ("yes", np.array(True))):
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    model.graph.node.append(
        helper.make_node("If", ["yes"], ["features"], then_branch=body, else_branch=other)
    )
    path = save(tmp_path, model)
    graph = foreign_graph(path, size_px=SIZE_PX, scaling=HALVES)
    found = run(graph, {"image": pictures()}, "feature_map")
    np.testing.assert_allclose(found.transpose(0, 3, 1, 2), features_of(path, "NCHW"), atol=1e-4)


def test_local_functions_are_written_out(tmp_path):
    model = network()
    function = helper.make_function(
        "own", "Twice", ["x"], ["y"],
        [helper.make_node("Add", ["x", "x"], ["y"])],
        [helper.make_opsetid("", 17)],
    )  # fmt: skip
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("own", 1))
    model.graph.node[-1].output[0] = "plain"
    model.graph.node.append(helper.make_node("Twice", ["plain"], ["features"], domain="own"))
    path = save(tmp_path, model)
    graph = foreign_graph(path, size_px=SIZE_PX, scaling=HALVES)
    assert {node.domain for node in graph.graph.node} == {""}
    found = run(graph, {"image": pictures()}, "feature_map")
    np.testing.assert_allclose(found.transpose(0, 3, 1, 2), features_of(path, "NCHW"), atol=1e-4)


# What a file says of itself


@pytest.mark.parametrize(
    "says",
    [
        UNIT,
        {"mean": "0.5,0.5,0.5", "std": "0.5 0.5 0.5"},
        {"pretrained_cfg": '{"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}'},
        {"preprocessor": '{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}'},
        {"mean": "0.5", "deviation": "0.5"},
    ],
)
def test_scaling_is_read_by_the_names_that_exporters_use(tmp_path, says):
    told = declared(save(tmp_path, network(says=says)))
    assert told.scaling is not None
    np.testing.assert_allclose(told.scaling.scale, MINUS_ONE_TO_ONE.scale)
    np.testing.assert_allclose(told.scaling.offset, MINUS_ONE_TO_ONE.offset)


@pytest.mark.parametrize(
    ("side", "says", "size"),
    [
        (48, {}, 48),
        ("side", {}, None),
        ("side", {"input_size": "[3, 64, 64]"}, 64),
        ("side", {"config": '{"crop_size": {"height": 56, "width": 56}}'}, 56),
        ("side", {"image_size": "72"}, 72),
    ],
)
def test_the_size_is_that_of_the_input_or_of_the_metadata(tmp_path, side, says, size):
    assert declared(save(tmp_path, network(side=side, says=says))).size_px == size


def test_the_hash_is_of_all_that_belongs_to_it(tmp_path):
    model = network()
    plain = content_hash(save(tmp_path, model))
    assert content_hash(save(tmp_path, model, "copy.onnx")) == plain
    outside = with_external_data(tmp_path, model)
    before = content_hash(outside)
    data = outside.with_suffix(".data")
    changed = bytearray(data.read_bytes())
    changed[5] ^= 1
    data.write_bytes(changed)
    os.utime(data, (1, 1))
    assert content_hash(outside) != before


# External data


def with_external_data(folder: Path, model: onnx.ModelProto, location: str = "big.data") -> Path:
    path = folder / "big.onnx"
    onnx.save_model(model, path, save_as_external_data=True, location="big.data", size_threshold=0)
    if location != "big.data":
        stored = onnx.load(path, load_external_data=False)
        for tensor in stored.graph.initializer:
            for item in tensor.external_data:
                if item.key == "location":
                    item.value = location
        path.write_bytes(stored.SerializeToString())
    return path


def test_external_data_beside_it_become_part_of_the_graph(tmp_path):
    path = with_external_data(tmp_path, network())
    graph = foreign_graph(path, size_px=SIZE_PX, scaling=HALVES)
    path.with_suffix(".data").unlink()
    path.unlink()
    expected = foreign_graph(save(tmp_path, network()), size_px=SIZE_PX, scaling=HALVES)
    for output in (graph, expected):
        onnx.checker.check_model(output)
    given = {"image": pictures()}
    np.testing.assert_array_equal(
        run(graph, given, "feature_map"), run(expected, given, "feature_map")
    )


@pytest.mark.parametrize("location", ["../big.data", "/etc/hostname", "inner/../../big.data", ""])
def test_external_data_elsewhere_are_not_read(tmp_path, location):
    folder = tmp_path / "inside"
    folder.mkdir()
    (tmp_path / "big.data").write_bytes(bytes(100_000))
    path = with_external_data(folder, network(), location)
    for ask in (declared, content_hash):
        with pytest.raises(WeightsError, match="outside its own folder"):
            ask(path)


def test_a_link_does_not_lead_out_of_the_folder(tmp_path):
    folder = tmp_path / "inside"
    folder.mkdir()
    path = with_external_data(folder, network())
    (folder / "big.data").rename(tmp_path / "big.data")
    (folder / "big.data").symlink_to(tmp_path / "big.data")
    with pytest.raises(WeightsError, match="outside its own folder"):
        foreign_graph(path, size_px=SIZE_PX, scaling=HALVES)


def test_external_data_that_are_missing_or_short_are_named(tmp_path):
    path = with_external_data(tmp_path, network())
    data = path.with_suffix(".data")
    whole = data.read_bytes()
    data.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match=r"'big\.data', which is shorter"):
        declared(path)
    data.unlink()
    with pytest.raises(WeightsError, match=r"'big\.data', which is not beside it"):
        declared(path)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("shape", [[None] * 4, [1, None, 32, None], [1, None, 32, 32]])
@pytest.mark.parametrize("scaled_first", [False, True])
def test_a_number_of_channels_that_is_left_open_shows_in_the_network(
    tmp_path, layout, shape, scaled_first
):
    stated = network(layout=layout, gives="pooled")
    expected = foreign_graph(save(tmp_path, stated), size_px=SIZE_PX, scaling=HALVES)
    turned = shape if layout == "NCHW" or len(set(shape)) == 1 else [shape[n] for n in (0, 2, 3, 1)]
    model = changed(network(layout=layout, gives="pooled"), shape=turned)
    if scaled_first:
        model.graph.node[0].input[0] = "doubled"
        two = numpy_helper.from_array(np.array(1, np.float32), "two")
        model.graph.initializer.append(two)
        model.graph.node.insert(0, helper.make_node("Mul", ["image", "two"], ["doubled"]))
    path = save(tmp_path, model, "open.onnx")
    found = foreign_graph(path, size_px=SIZE_PX, scaling=HALVES)
    given = {"image": pictures()}
    np.testing.assert_array_equal(
        run(found, given, "feature_map"), run(expected, given, "feature_map")
    )


# What is refused


def changed(model: onnx.ModelProto, **changes: object) -> onnx.ModelProto:
    tensor = model.graph.input[0].type.tensor_type
    if "shape" in changes:
        del tensor.shape.dim[:]
        for size in changes["shape"]:  # type: ignore[attr-defined]
            tensor.shape.dim.add(**({"dim_value": size} if isinstance(size, int) else {}))
    return model


def second_input() -> onnx.ModelProto:
    model = network()
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1]))
    return model


def custom_operator() -> onnx.ModelProto:
    model = network()
    model.graph.node[1].domain = "com.example"
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    return model


def one_channel() -> onnx.ModelProto:
    """A network for grey pictures that leaves the number of channels open."""
    model = changed(network(), shape=[1, None, 32, 32])
    (kernel,) = (each for each in model.graph.initializer if each.name == "head/kernel")
    grey = numpy_helper.to_array(kernel)[:, :1]
    kernel.CopyFrom(numpy_helper.from_array(grey, kernel.name))
    return model


def without_picture() -> onnx.ModelProto:
    model = network()
    model.graph.node.append(helper.make_node("Identity", ["bias"], ["constant"]))
    return model


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda: second_input(), r"2 inputs \('image', 'mask'\)"),
        (lambda: network(kind=TensorProto.DOUBLE), "of type double"),
        (lambda: changed(network(), shape=[1, 1, 32, 32]), r"takes \(1, 1, 32, 32\)"),
        (lambda: one_channel(), r"takes \(1, \?, 32, 32\)"),
        (lambda: changed(network(), shape=[1, 3, 32]), r"takes \(1, 3, 32\)"),
        (lambda: changed(network(), shape=[1, 3, 32, 48]), "only squares"),
        (lambda: custom_operator(), "'Relu' of 'com.example'"),
        (lambda: network(side=64), "64 pixels only; 32 were asked for"),
    ],
)
def test_what_can_be_no_backbone_is_refused_in_a_sentence(tmp_path, made, says):
    path = save(tmp_path, made())
    with pytest.raises(WeightsError, match=says) as refused:
        declared(path)
        foreign_graph(path, size_px=SIZE_PX, scaling=HALVES)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_output_that_does_not_depend_on_the_picture_is_refused(tmp_path):
    path = save(tmp_path, without_picture())
    with pytest.raises(WeightsError, match="does not depend on the picture"):
        foreign_graph(path, size_px=SIZE_PX, scaling=HALVES, output="constant")


@pytest.mark.parametrize(
    "content", [b"", b"not a network", b"\x89PNG\r\n\x1a\n" + bytes(50), bytes(3000), b"\x08\x08"]
)
def test_what_is_no_onnx_file_is_refused(tmp_path, content):
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="not an ONNX file"):
        declared(path)


def test_a_file_cut_short_is_refused(tmp_path):
    whole = network().SerializeToString()
    for length in range(50, len(whole), 271):
        path = tmp_path / f"{length}.onnx"
        path.write_bytes(whole[:length])
        with pytest.raises(WeightsError):
            foreign_graph(path, size_px=SIZE_PX, scaling=HALVES)


def test_a_file_that_is_not_there_or_too_large_is_refused(tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match="There is no file"):
        declared(tmp_path / "net.onnx")
    huge = tmp_path / "huge.onnx"
    with open(huge, "wb") as file:
        file.truncate(3_000_000_000)  # takes no room
    with pytest.raises(WeightsError, match=r"3\.0 GB.*at most 2 GB"):
        declared(huge)
    path = with_external_data(tmp_path, network())
    monkeypatch.setattr(foreign, "LARGEST_BYTES", path.stat().st_size + 100)
    with pytest.raises(WeightsError, match="with its weights"):
        declared(path)
