"""One stage of training, in Keras: part of the network is trained on stored features.

The loop is explicit, with Keras's `train_on_batch` for the step, so that it can be read, stopped
after any epoch and resumed to the same bits, on any backend.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pawsure.evaluation.metrics import accuracy, log_loss, softmax
from pawsure.features.views import Rows
from pawsure.network.framework import keras
from pawsure.progress import NO_PROGRESS, Progress
from pawsure.training.checkpoint import StageState, load_state, save_state
from pawsure.training.optimizers import averaged_weights, copy_of, make_optimizer
from pawsure.training.recipe import Stage
from pawsure.training.schedule import learning_rate_at
from pawsure.trust.calibration import at_best_temperature

EVALUATION_BATCH = 256


@dataclass(frozen=True, kw_only=True)
class StageData:
    """Training and validation data of a stage.

    Attributes:
        train_inputs: of the part, by picture; a function of the epoch, because each epoch may
            see other views of the same pictures.
        train_targets: of the same pictures in the same views: float (N, K), rows sum to 1.
        validation_inputs: of the validation pictures.
        validation_labels: int (M,), in [0, K).
    """

    train_inputs: Callable[[int], Rows]
    train_targets: Callable[[int], Rows]
    validation_inputs: Rows
    validation_labels: np.ndarray


def train_stage(
    part: keras.Model,
    stage: Stage,
    data: StageData,
    *,
    is_sigmoid: bool,
    seed: tuple[int, int],
    checkpoint: Path | None = None,
    on_epoch: Callable[[list[dict[str, Any]]], None] = lambda rows: None,
    progress: Progress = NO_PROGRESS,
) -> StageState:
    """Train part of the network; it ends with the weights that the stage keeps.

    Args:
        part: inputs to logits; `layer.trainable` marks the layers to train.
        stage: how to train.
        data: of the stage.
        is_sigmoid: the logits are one column, for the second of two labels.
        seed: of the run, and the stage's number; they decide the order of pictures.
        checkpoint: where to save the state after each epoch; resumed from if it exists.
        on_epoch: given the history so far after each epoch.
        progress: told of every picture.

    Returns:
        The state after the last epoch; `history` has a row an epoch: epoch, loss, accuracy
        (both while learning), validation_loss (at the best temperature where targets are
        softened), validation_accuracy, learning_rate, seconds.
    """
    _compile(part, stage, is_sigmoid)
    state = (load_state(checkpoint, progress) if checkpoint else None) or StageState()
    _restore(part, state)
    while state.epochs_done < stage.epochs and not _out_of_patience(stage, state):
        started = time.perf_counter()
        row = _train_epoch(part, stage, data, is_sigmoid, (*seed, state.epochs_done), progress)
        with averaged_weights(part, stage):
            probability = predict_probabilities(part, data.validation_inputs, is_sigmoid=is_sigmoid)
            judged = _judged(probability, stage, data)
            row["validation_loss"] = log_loss(judged, data.validation_labels)
            row["validation_accuracy"] = accuracy(judged, data.validation_labels)
            row["seconds"] = round(time.perf_counter() - started, 3)
            is_best = row["validation_loss"] < state.best_loss
            if is_best or stage.keep == "last":
                state.kept = part.get_weights()
                state.kept_probability = probability
        state.validation.append(judged.astype(np.float32))
        _advance(state, part, row)
        if checkpoint:
            save_state(state, checkpoint)
        on_epoch(state.history)
    part.set_weights(state.kept)
    return state


def _judged(probability: np.ndarray, stage: Stage, data: StageData) -> np.ndarray:
    """The validation probabilities that an epoch is judged by: float64 (M, K).

    If targets are softened, at the best temperature: such a network is underconfident, the more
    so the longer it is trained, until it is calibrated at the end of the run.
    """
    if not stage.softens_targets:
        return probability
    return at_best_temperature(probability, data.validation_labels)


def predict_probabilities(part: keras.Model, inputs: Rows, *, is_sigmoid: bool) -> np.ndarray:
    """Probabilities of a part for all inputs.

    Returns:
        float64 (N, K), rows sum to 1.
    """
    size = min(EVALUATION_BATCH, len(inputs))
    logits = [
        keras.ops.convert_to_numpy(part.predict_on_batch(_full_batch(inputs, start, size)))
        for start in range(0, len(inputs), size)
    ]
    return probabilities_of(np.concatenate(logits)[: len(inputs)], is_sigmoid=is_sigmoid)


def probabilities_of(logits: np.ndarray, *, is_sigmoid: bool) -> np.ndarray:
    """Softmax of logits, in double precision; one column stands for the second label."""
    logits = logits.astype(np.float64)
    if is_sigmoid:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    return softmax(logits)


def _full_batch(inputs: Rows, start: int, size: int) -> np.ndarray:
    """A batch of inputs; the last is padded, because Keras traces again for another size."""
    batch = np.asarray(inputs[slice(start, start + size)], dtype=np.float32)
    missing = size - len(batch)
    return np.concatenate([batch, np.repeat(batch[-1:], missing, axis=0)]) if missing else batch


def _compile(part: keras.Model, stage: Stage, is_sigmoid: bool) -> None:
    loss: keras.losses.Loss
    if is_sigmoid:
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
    else:
        loss = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=stage.label_smoothing
        )
    # XLA on a CPU compiles the depthwise convolutions' gradients for minutes.
    part.compile(
        optimizer=make_optimizer(stage, part),
        loss=loss,
        metrics=[keras.metrics.MeanMetricWrapper(_hits, name="accuracy")],
        jit_compile=False,
    )
    part.optimizer.build(part.trainable_variables)


def _hits(targets: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
    """1 where the most probable label is the target's, else 0."""
    ops = keras.ops
    if logits.shape[-1] == 1:
        hits = ops.equal(logits[:, 0] > 0.0, targets[:, 0] > 0.5)
    else:
        hits = ops.equal(ops.argmax(logits, axis=-1), ops.argmax(targets, axis=-1))
    return ops.cast(hits, "float32")


def _train_epoch(
    part: keras.Model,
    stage: Stage,
    data: StageData,
    is_sigmoid: bool,
    seed: tuple[int, int, int],
    progress: Progress,
) -> dict[str, Any]:
    """One pass over the training pictures."""
    epoch = seed[-1]
    every_input, every_target = data.train_inputs(epoch), data.train_targets(epoch)
    rng = np.random.default_rng(seed)
    order = _whole_batches(rng.permutation(len(every_input)), stage.batch_size)
    starts = range(0, len(order), stage.batch_size)
    sums = np.zeros(3)
    progress.start(f"{stage.name} {epoch + 1}/{stage.epochs}", len(order))
    for number, start in enumerate(starts):
        batch = order[start : start + stage.batch_size]
        step = epoch * len(starts) + number
        rate = learning_rate_at(stage, step, stage.epochs * len(starts))
        part.optimizer.learning_rate.assign(rate)
        inputs = np.asarray(every_input[batch], dtype=np.float32)
        targets = _targets(every_target[batch], is_sigmoid)
        if stage.mixup:
            inputs, targets = _mixed(inputs, targets, stage.mixup, rng)
        means = part.train_on_batch(inputs, targets, return_dict=True)
        sums += len(batch) * np.array([float(means["loss"]), float(means["accuracy"]), 1.0])
        progress.advance(len(batch))
    progress.finish()
    return {
        "epoch": epoch + 1,
        "learning_rate": rate,
        "loss": float(sums[0] / sums[2]),
        "accuracy": float(sums[1] / sums[2]),
    }


def _whole_batches(order: np.ndarray, size: int) -> np.ndarray:
    """The order without its last, smaller batch; each epoch leaves out other pictures.

    A step on five pictures would weigh as much as one on 32, also in the statistics of
    BatchNormalization, and Keras would trace the network once more for it.
    """
    return order[: len(order) // size * size or len(order)]


def _mixed(
    inputs: np.ndarray, targets: np.ndarray, alpha: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Mixup: each input blended with another of its batch, and their targets too.

    Source: Zhang et al. 2018, arXiv:1710.09412, with one share for the batch; on features
    it is manifold mixup (Verma et al. 2019, arXiv:1806.05236).
    """
    share = np.float32(rng.beta(alpha, alpha))
    other = rng.permutation(len(inputs))
    return (
        share * inputs + (1 - share) * inputs[other],
        share * targets + (1 - share) * targets[other],
    )


def _targets(targets: np.ndarray, is_sigmoid: bool) -> np.ndarray:
    """The targets of a batch; for a sigmoid head only the column of the second label."""
    return np.asarray(targets[:, 1:] if is_sigmoid else targets, dtype=np.float32)


def _advance(state: StageState, part: keras.Model, row: dict[str, Any]) -> None:
    """Add a finished epoch to the state."""
    state.epochs_done += 1
    state.history.append(row)
    state.weights = [copy_of(variable) for variable in _resumable(part)]
    state.optimizer = [copy_of(variable) for variable in part.optimizer.variables]


def _restore(part: keras.Model, state: StageState) -> None:
    """Load a saved state into the part."""
    if not state.epochs_done:
        return
    for variable, value in zip(_resumable(part), state.weights, strict=True):
        variable.assign(value)
    for variable, value in zip(part.optimizer.variables, state.optimizer, strict=True):
        variable.assign(value)


def _resumable(part: keras.Model) -> list[keras.Variable]:
    """The weights, and the states of the random generators of dropout."""
    seeds = [
        generator.state
        for layer in part._flatten_layers(include_self=False)
        for generator in getattr(layer, "_seed_generators", ())
    ]
    return [*part.weights, *seeds]


def _out_of_patience(stage: Stage, state: StageState) -> bool:
    """Whether the last `patience` epochs did not lower the validation loss."""
    losses = [row["validation_loss"] for row in state.history]
    if not stage.patience or len(losses) <= stage.patience:
        return False
    return min(losses[-stage.patience :]) >= min(losses[: -stage.patience])
