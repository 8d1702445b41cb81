"""A backbone with a pooled linear head: the one network shape that pawsure trains.

Its parts share their layers with the models that are made of them here, so what a stage
teaches a part, the whole has learned.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pawsure.data.files import atomic_path
from pawsure.graph.scaling import Scaling
from pawsure.network.cuts import Cut, suffix
from pawsure.network.framework import keras
from pawsure.network.lean import lean


class Classifier:
    """A backbone, and a linear layer on the mean of its feature map.

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

        Written lean, for training: set what learns before.
        """
        stored = keras.Input(cut.shape, name="stored")
        rows = self._scaled(stored, scaling) if cut.is_input else stored
        feature_map = lean(suffix(self.backbone, cut))(rows)
        return keras.Model(stored, self._logits(self._pool(feature_map)), name="part")

    def whole(self, scaling: Scaling) -> keras.Model:
        """Pixels in [0, 255], float32 (N, S, S, 3), to probabilities: what is saved."""
        pixels = keras.Input(self.backbone.input.shape[1:], name="image")
        logits = self._logits(self._pool(self.backbone(self._scaled(pixels, scaling))))
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

    def kernel_and_bias(self) -> tuple[np.ndarray, np.ndarray]:
        """The head's weights: float32 (F, units) and (units,)."""
        kernel, bias = self._dense.get_weights()
        return kernel, bias

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
