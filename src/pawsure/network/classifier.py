"""A backbone with a pooled linear head: the one network shape that pawsure trains.

The parts built here share their layers with the whole, so training a part trains the whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pawsure.data.files import atomic_path
from pawsure.graph.scaling import Scaling
from pawsure.network.cuts import Cut, prefix, suffix
from pawsure.network.framework import keras
from pawsure.network.fused import fused


@dataclass(frozen=True, kw_only=True)
class FrozenBranch:
    """The last layers as they were before fine-tuning, and the linear probe on them.

    Attributes:
        cut: that the two branches of the network part at.
        layers: a copy of the layers behind it.
        kernel: float32 (F, K), of the probe.
        bias: float32 (K,).
        shares: what the logits of the probe and of the fine-tuned branch are multiplied by before
            they are added.
    """

    cut: Cut
    layers: keras.Model
    kernel: np.ndarray
    bias: np.ndarray
    shares: tuple[float, float] = (0.5, 0.5)


class Classifier:
    """A backbone, and a linear layer on the mean of its feature map.

    With a `frozen` branch there are two: the feature map has the channels of the frozen layers
    and then those of the fine-tuned ones, and the linear layer adds up the logits of both.

    Args:
        backbone: scaled pictures (N, S, S, 3) to a feature map (N, h, w, F).
        num_labels: K, two or more.
        head: "softmax" with K units, or "sigmoid" with one that stands for the second of
            two labels.
        dropout: share of the pooled features dropped while training.
        seed: draws the head's first weights and what dropout drops.
    """

    def __init__(
        self,
        backbone: keras.Model,
        num_labels: int,
        *,
        head: str = "softmax",
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.backbone = backbone
        self.num_labels = num_labels
        self.is_sigmoid = head == "sigmoid"
        self.frozen: FrozenBranch | None = None
        self._pool = keras.layers.GlobalAveragePooling2D(name="embedding")
        self._dropout = keras.layers.Dropout(dropout, seed=seed, name="dropout")
        self._dense = keras.layers.Dense(
            1 if self.is_sigmoid else num_labels,
            kernel_initializer=keras.initializers.GlorotUniform(seed=seed),
            name="head",
        )
        self._dense.build((None, backbone.output.shape[-1]))

    def head_part(self) -> keras.Model:
        """Pooled features (N, F) to logits."""
        pooled = keras.Input((self.backbone.output.shape[-1],), name="pooled")
        return keras.Model(pooled, self._logits(pooled), name="head_part")

    def part_from(self, cut: Cut, scaling: Scaling) -> keras.Model:
        """The tensor at a cut to logits; at the input's cut, pixels in [0, 255].

        With fused layers, for training: mark the trainable layers before.
        """
        stored = keras.Input(cut.shape, name="stored")
        batch = self._scaled(stored, scaling) if cut.is_input else stored
        feature_map = fused(suffix(self.backbone, cut))(batch)
        return keras.Model(stored, self._logits(self._pool(feature_map)), name="part")

    def whole(self, scaling: Scaling) -> keras.Model:
        """Pixels in [0, 255], float32 (N, S, S, 3), to probabilities: what is saved."""
        pixels = keras.Input(self.backbone.input.shape[1:], name="image")
        logits = self._joined_logits(self.features()(self._scaled(pixels, scaling)))
        activation = "sigmoid" if self.is_sigmoid else "softmax"
        probability = keras.layers.Activation(activation, name="probability")(logits)
        return keras.Model(pixels, probability, name="pawsure")

    def predict(self, pictures: np.ndarray, scaling: Scaling) -> np.ndarray:
        """Probabilities by the whole network: uint8 (N, S, S, 3) to float (N, K).

        Layer by layer and without compiling, which for a few pictures would take longer.
        """
        pixels = keras.ops.convert_to_tensor(pictures, dtype="float32")
        found = keras.ops.convert_to_numpy(self.whole(scaling)(pixels, training=False))
        return np.concatenate([1.0 - found, found], axis=1) if self.is_sigmoid else found

    def save(self, scaling: Scaling, path: Path) -> None:
        """Save the whole network in Keras's own format, to go on with in Keras."""
        with atomic_path(path) as temporary:
            self.whole(scaling).save(temporary)

    def keep_frozen(self, cut: Cut) -> None:
        """Keep a copy of the layers behind a cut, and of the head, as they are now."""
        kernel, bias = self._dense.get_weights()
        layers = suffix(self.backbone, cut)
        copied = keras.models.clone_model(layers, clone_function=_frozen_copy)
        copied.name = f"frozen_{layers.name}"  # two layers of one name can't be in one model
        copied.set_weights(layers.get_weights())
        self.frozen = FrozenBranch(cut=cut, layers=copied, kernel=kernel, bias=bias)

    def set_shares(self, shares: tuple[float, float]) -> None:
        """What the logits of the frozen and the fine-tuned branch are multiplied by."""
        assert self.frozen is not None
        self.frozen = replace(self.frozen, shares=shares)

    def features(self) -> keras.Model:
        """Scaled pictures to the feature map that the head reads: of one branch, or of both."""
        if self.frozen is None:
            return self.backbone
        shared = prefix(self.backbone, self.frozen.cut)
        branches = (self.frozen.layers, suffix(self.backbone, self.frozen.cut))
        maps = keras.layers.Concatenate(name="branches")(
            [branch(shared.output) for branch in branches]
        )
        return keras.Model(self.backbone.input, maps, name=self.backbone.name)

    @property
    def embedding_width(self) -> int:
        """F: of the frozen features, where there are any, else of those that learned."""
        return int(self.backbone.output.shape[-1])

    def kernel_and_bias(self) -> tuple[np.ndarray, np.ndarray]:
        """The weights of the head on `features`: float32 (F or 2 F, units) and (units,)."""
        kernel, bias = self._dense.get_weights()
        if self.frozen is None:
            return kernel, bias
        frozen, tuned = map(np.float32, self.frozen.shares)
        return (
            np.concatenate([frozen * self.frozen.kernel, tuned * kernel]),
            frozen * self.frozen.bias + tuned * bias,
        )

    @staticmethod
    def _scaled(pixels: keras.KerasTensor, scaling: Scaling) -> keras.KerasTensor:
        return keras.layers.Rescaling(list(scaling.scale), list(scaling.offset))(pixels)

    def set_head(self, kernel: np.ndarray, bias: np.ndarray) -> None:
        """Give the head weights: float32 (F, units) and (units,)."""
        self._dense.set_weights([kernel, bias])

    def get_weights(self) -> list[np.ndarray]:
        """Every weight of backbone and head."""
        return [*self.backbone.get_weights(), *self._dense.get_weights()]

    def set_weights(self, weights: list[np.ndarray]) -> None:
        """Put weights of `get_weights` back."""
        self.backbone.set_weights(weights[:-2])
        self._dense.set_weights(weights[-2:])

    def _logits(self, pooled: keras.KerasTensor) -> keras.KerasTensor:
        return self._dense(self._dropout(pooled))

    def _joined_logits(self, feature_map: keras.KerasTensor) -> keras.KerasTensor:
        """Of the head on `features`."""
        pooled = self._pool(feature_map)
        if self.frozen is None:
            return self._logits(pooled)
        kernel, bias = self.kernel_and_bias()
        joined = keras.layers.Dense(len(bias), name="head")
        joined.build(pooled.shape)
        joined.set_weights([kernel, bias])
        return joined(pooled)


def _frozen_copy(layer: keras.layers.Layer) -> keras.layers.Layer:
    """A layer of its own, without weights yet, that does not learn."""
    copied = layer.__class__.from_config({**layer.get_config(), "name": f"frozen_{layer.name}"})
    copied.trainable = False
    return copied
