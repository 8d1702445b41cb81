"""Weights: found, read whatever their kind, fitted or refused with the ways out."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pawsure.errors import WeightsError
from pawsure.network.backbones import BACKBONES
from pawsure.network.build import build_backbone
from pawsure.network.variables import named_variables

keras = pytest.importorskip("keras")
h5py = pytest.importorskip("h5py")

from pawsure.network import weights as weights_module  # noqa: E402 (it needs the above)
from pawsure.network.weight_files import (  # noqa: E402
    load_weights_file,
    save_weights_float16,
    weights_id,
)
from pawsure.network.weights import (  # noqa: E402
    find_imagenet_file,
    follow_text_link,
    pets_file,
)

V2 = BACKBONES["mobilenet_v2"]


@pytest.fixture(scope="module")
def source(randomise):
    """A network whose weights are written to files."""
    return randomise(build_backbone("mobilenet_050", size_px=32, weights="none"))


@pytest.fixture(scope="module")
def drawn():
    model = build_backbone("mobilenet_050", size_px=32, weights="none", seed=9)
    return model, model.get_weights()


@pytest.fixture
def target(drawn):
    """A network that is to get them, with other weights."""
    model, weights = drawn
    model.set_weights(weights)
    return model


@pytest.fixture(scope="module")
def wider():
    """The same network in another width."""
    return build_backbone("mobilenet_075", size_px=32, weights="none")


@pytest.fixture
def keras_home(tmp_path, monkeypatch):
    """An empty cache of Keras's; returns its folder of models."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def assert_same(model, other, **tolerance):
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, **(tolerance or {"rtol": 0, "atol": 0}))


def write_old_h5(path, model, rename=lambda name: name):
    """Write the older HDF5 kind by its description: attributes that list layers and weights."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [rename(layer.name).encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(rename(layer.name))
            names = [f"{layer.name}/{weight.name}:0" for weight in layer.weights]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, weight in zip(names, layer.weights, strict=True):
                group.create_dataset(name, data=np.asarray(weight))


# Kinds of files


def test_older_h5_fits_by_order_whatever_the_layers_are_called(source, target, tmp_path):
    path = tmp_path / "old.h5"
    write_old_h5(path, source, rename=lambda name: f"former_{name}")
    load_weights_file(target, path)
    assert_same(target, source)


def test_a_whole_model_in_an_older_h5_fits_by_name(source, target, tmp_path):
    head = keras.layers.Dense(2, name="head")(source.output)
    path = tmp_path / "whole.h5"
    keras.Model(source.input, head).save(path)
    load_weights_file(target, path)
    assert_same(target, source)


def test_weights_h5_fits(source, target, tmp_path):
    path = tmp_path / "network.weights.h5"
    source.save_weights(path)
    load_weights_file(target, path)
    assert_same(target, source)


@pytest.mark.parametrize("nested", [False, True])
def test_the_network_is_found_in_a_whole_keras_model(source, target, tmp_path, nested):
    outer = keras.Input(source.input_shape[1:])
    feature_map = source(outer) if nested else source.output
    pooled = keras.layers.GlobalAveragePooling2D()(feature_map)
    whole = keras.Model(
        outer if nested else source.input, keras.layers.Dense(1, name="head")(pooled)
    )
    path = tmp_path / "model.keras"
    whole.save(path)
    load_weights_file(target, path)
    assert_same(target, source)


def test_float16_weights_come_back_within_their_rounding(source, target, tmp_path):
    path = tmp_path / "half.npz"
    save_weights_float16(source, path, {"data": "drawn"})
    load_weights_file(target, path)
    # Half the distance between neighbours with eleven bits, and for tiny values of float16.
    assert_same(target, source, rtol=2**-11, atol=2**-24)
    floats = sum(variable.numpy().nbytes for variable in source.weights)
    assert path.stat().st_size < floats * 0.52


def test_float16_is_not_used_where_it_would_lose_the_value(source, target, tmp_path):
    changed = keras.models.clone_model(source)
    changed.set_weights(source.get_weights())
    named = named_variables(changed)
    named["conv1_bn/moving_variance"].assign(np.full((16,), 3.3e-7))
    named["conv1_bn/gamma"].assign(np.full((16,), 1.0e5))
    path = tmp_path / "half.npz"
    save_weights_float16(changed, path, {})
    load_weights_file(target, path)
    assert_same(target, changed, rtol=2**-11, atol=2**-24)
    found = named_variables(target)["conv1_bn/moving_variance"]
    np.testing.assert_array_equal(found, np.full((16,), 3.3e-7, dtype=np.float32))


def test_saving_twice_gives_the_same_bytes_and_the_provenance(source, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        save_weights_float16(source, tmp_path / name / "w.npz", {"epochs": 3})
    assert (tmp_path / "one/w.npz").read_bytes() == (tmp_path / "two/w.npz").read_bytes()
    described = json.loads((tmp_path / "one/w.json").read_text())
    assert described["provenance"] == {"epochs": 3}
    expected = hashlib.sha256((tmp_path / "one/w.npz").read_bytes()).hexdigest()
    assert described["sha256"] == expected
    assert sorted(os.listdir(tmp_path / "one")) == ["w.json", "w.npz"]


# Files that do not fit


def expect_refusal(target, path, message):
    before = target.get_weights()
    with pytest.raises(WeightsError, match=message):
        load_weights_file(target, path)
    for one, two in zip(target.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, two)


def test_another_width_is_refused_with_layer_and_shapes(target, wider, tmp_path):
    path = tmp_path / "wider.h5"
    write_old_h5(path, wider)
    message = r"Layer 'conv1' of .* expects kernel of shape \(3, 3, 3, 16\).*has \(3, 3, 3, 24\)"
    expect_refusal(target, path, message)


def test_another_width_as_npz_is_refused_the_same_way(target, wider, tmp_path):
    path = tmp_path / "wider.npz"
    np.savez(path, **{name: np.asarray(held) for name, held in named_variables(wider).items()})
    message = r"Layer 'conv1' of .* expects kernel of shape \(3, 3, 3, 16\).*has \(3, 3, 3, 24\)"
    expect_refusal(target, path, message)


def test_another_network_is_refused(target, tmp_path):
    other = build_backbone("mobilenet_v2", size_px=32, weights="none")
    path = tmp_path / "other.h5"
    write_old_h5(path, other)
    expect_refusal(target, path, r"has 104 layers with weights; .* has 54")
    path = tmp_path / "other.npz"
    np.savez(path, **{"Conv1/kernel": np.zeros((3, 3, 3, 32), np.float32)})
    expect_refusal(target, path, "none for layer 'conv1'.*holds 1, such as 'Conv1/kernel'")


def test_another_width_as_weights_h5_is_refused(target, wider, tmp_path):
    path = tmp_path / "wider.weights.h5"
    wider.save_weights(path)
    with pytest.raises(WeightsError, match="does not fit mobilenet_0.50"):
        load_weights_file(target, path)


def test_a_layer_with_another_number_of_variables_is_refused(source, target, tmp_path):
    path = tmp_path / "bare.h5"
    write_old_h5(path, source)
    with h5py.File(path, "a") as file:
        file["conv1_bn"].attrs["weight_names"] = file["conv1_bn"].attrs["weight_names"][:3]
    expect_refusal(target, path, "Layer 'conv1_bn' .* has 4 variables; .* has 3 for it")


def test_values_that_are_no_numbers_are_refused(source, target, tmp_path):
    arrays = {name: np.asarray(held).copy() for name, held in named_variables(source).items()}
    arrays["conv_pw_13/kernel"][0, 0, 0, 0] = np.nan
    path = tmp_path / "nan.npz"
    np.savez(path, **arrays)
    expect_refusal(target, path, "no numbers for kernel of layer 'conv_pw_13'")


@pytest.mark.parametrize("kind", ["old.h5", "arrays.npz", "model.keras"])
def test_a_file_cut_short_is_called_damaged(source, target, tmp_path, kind):
    path = tmp_path / kind
    if kind == "old.h5":
        write_old_h5(path, source)
    elif kind == "model.keras":
        source.save(path)
    else:
        np.savez(path, **{n: np.asarray(v) for n, v in named_variables(source).items()})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    expect_refusal(target, path, "damaged or cut short.*again")


def test_a_file_of_something_else_is_refused(target, tmp_path):
    path = tmp_path / "notes.npz"
    path.write_text("no weights")
    expect_refusal(target, path, "not a file of weights.*Expected .npz, .keras")


def test_pickled_objects_are_not_loaded(target, tmp_path):
    path = tmp_path / "objects.npz"
    np.savez(path, **{"conv1/kernel": np.array([{"a": 1}], dtype=object)})
    expect_refusal(target, path, "damaged")


# Choosing weights


def test_no_such_file_lists_what_can_be_given():
    with pytest.raises(WeightsError, match="no weights 'missing.h5'.*'imagenet', 'pets', 'none'"):
        build_backbone("mobilenet_050", size_px=32, weights="missing.h5")


def test_a_file_is_loaded_by_build_backbone(source, tmp_path):
    path = tmp_path / "own.h5"
    write_old_h5(path, source)
    assert_same(build_backbone("mobilenet_050", size_px=64, weights=path), source)


def hdf5(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = []
    return path


def test_the_nearest_size_in_the_cache_is_taken(keras_home):
    assert find_imagenet_file(V2, 128) is None
    for size_px in (96, 192):
        hdf5(keras_home / V2.weights_files[size_px])
    assert find_imagenet_file(V2, 96).name == V2.weights_files[96]
    assert find_imagenet_file(V2, 128).name == V2.weights_files[96]
    assert find_imagenet_file(V2, 144).name == V2.weights_files[192]  # as near: the larger
    assert find_imagenet_file(V2, 300).name == V2.weights_files[192]


def test_links_that_were_copied_as_text_are_followed(keras_home):
    real = hdf5(keras_home / V2.weights_files[224])
    (keras_home / V2.weights_files[160]).write_text(V2.weights_files[224])
    (keras_home / V2.weights_files[128]).write_text(V2.weights_files[160] + "\n")
    assert find_imagenet_file(V2, 128) == real
    assert follow_text_link(real) == real


def test_text_links_that_lead_nowhere_or_in_circles_are_no_weights(keras_home):
    (keras_home / V2.weights_files[128]).write_text("gone.h5")
    (keras_home / V2.weights_files[160]).write_text(V2.weights_files[192])
    (keras_home / V2.weights_files[192]).write_text(V2.weights_files[160])
    assert find_imagenet_file(V2, 128) is None


def test_imagenet_weights_in_the_cache_are_loaded(keras_home, source):
    write_old_h5(keras_home / "mobilenet_5_0_160_tf_no_top.h5", source)
    assert_same(build_backbone("mobilenet_050", size_px=32, weights="imagenet"), source)


@pytest.fixture
def downloads(monkeypatch):
    """Put something in the place of Keras's own constructor when it would download."""

    def install(download):
        real = keras.applications.MobileNet

        def constructor(*args, **kwargs):
            return download() if kwargs["weights"] == "imagenet" else real(*args, **kwargs)

        monkeypatch.setattr(keras.applications, "MobileNet", constructor)

    return install


def test_weights_that_keras_can_fetch_are_fetched_and_told_on_the_error_stream(
    keras_home, downloads, source, capsys
):
    def download():
        sys.stdout.write("Downloading data\n")
        return source

    downloads(download)
    assert_same(build_backbone("mobilenet_050", size_px=32, weights="imagenet"), source)
    output = capsys.readouterr()
    assert output.out == ""
    assert "Downloading data" in output.err


def test_weights_that_can_not_be_fetched_end_with_the_ways_out(keras_home, downloads):
    def download():
        raise Exception("URL fetch failure: name not known")

    downloads(download)
    with pytest.raises(WeightsError) as caught:
        build_backbone("mobilenet_050", size_px=160, weights="imagenet")
    message = str(caught.value)
    for part in [
        "mobilenet_5_0_160_tf_no_top.h5",
        str(keras_home),
        "name not known",
        "KERAS_HOME",
        "--weights pets",
        "--weights FILE",
        "--weights none",
    ]:
        assert part in message


def test_a_download_that_hangs_is_given_up(keras_home, downloads, monkeypatch):
    monkeypatch.setattr(weights_module, "PATIENCE_S", 0.3)
    downloads(lambda: time.sleep(5))
    begun = time.monotonic()
    with pytest.raises(WeightsError, match="nothing arrived for 0.3 s"):
        build_backbone("mobilenet_050", size_px=32, weights="imagenet")
    assert time.monotonic() - begun < 4


def test_a_slow_download_that_shows_progress_is_waited_for(
    keras_home, downloads, monkeypatch, source
):
    monkeypatch.setattr(weights_module, "PATIENCE_S", 0.4)

    def download():
        for _ in range(8):
            time.sleep(0.1)
            sys.stdout.write(".")
        return source

    downloads(download)
    assert_same(build_backbone("mobilenet_050", size_px=32, weights="imagenet"), source)


# On board


def test_weights_on_board_are_for_one_backbone():
    with pytest.raises(WeightsError, match="for mobilenet_v2, not for mobilenet_050"):
        build_backbone("mobilenet_050", size_px=32, weights="pets")


def test_weights_on_board_that_are_missing_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(weights_module, "pets_file", lambda: tmp_path / "pets.npz")
    with pytest.raises(WeightsError, match="pets.npz is missing.*--weights none"):
        build_backbone("mobilenet_v2", size_px=32, weights="pets")


def test_weights_on_board_are_checked_and_loaded(monkeypatch, tmp_path):
    source = build_backbone("mobilenet_v2", size_px=32, weights="none", seed=5)
    path = tmp_path / "pets.npz"
    save_weights_float16(source, path, {})
    monkeypatch.setattr(weights_module, "pets_file", lambda: path)
    loaded = build_backbone("mobilenet_v2", size_px=32, weights="pets")
    assert_same(loaded, source, rtol=2**-11, atol=2**-24)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(WeightsError, match="damaged.*Reinstall pawsure"):
        build_backbone("mobilenet_v2", size_px=32, weights="pets")


def test_weights_on_board_fit_when_they_are_there():
    if not pets_file().is_file():
        pytest.skip("not trained yet")
    assert pets_file().stat().st_size <= 5_000_000
    build_backbone("mobilenet_v2", size_px=96, weights="pets")


# Identity


def test_the_identity_is_of_the_values(source, target):
    assert weights_id(source) != weights_id(target)
    target.set_weights(source.get_weights())
    assert weights_id(source) == weights_id(target)
    named = named_variables(target)["conv_pw_13_bn/moving_mean"]
    changed = np.asarray(named).copy()
    changed[0] = np.nextafter(changed[0], 1)
    named.assign(changed)
    assert weights_id(source) != weights_id(target)


# The true files


@pytest.mark.real
@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_075", "mobilenet_050"])
def test_imagenet_weights_are_what_keras_reads_from_the_file(name):
    backbone = BACKBONES[name]
    path = find_imagenet_file(backbone, 128)
    if path is None:
        pytest.skip("no ImageNet weights in KERAS_HOME")
    constructor = getattr(keras.applications, backbone.constructor)
    expected = constructor(
        input_shape=(128, 128, 3), include_top=False, weights=str(path), **backbone.arguments
    )
    assert_same(build_backbone(name, size_px=128, weights="imagenet"), expected)
