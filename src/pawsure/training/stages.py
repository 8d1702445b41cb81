"""One stage of training, in Keras: a part of the network learns from stored rows.

The loop is written out, with Keras's `train_on_batch` for the step, so that it can be read,
stopped after any epoch and gone on with to the same bits, on any backend.
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
    """What a stage learns from and is judged by.

    Attributes:
        train_rows: inputs of the part, by picture; a function of the epoch, because each
            epoch may see other views of the same pictures.
        train_targets: of the same pictures in the same views: float (N, K), rows sum to 1.
        validation_rows: the same of pictures that nothing is learned from.
        validation_labels: int (M,), in [0, K).
    """

    train_rows: Callable[[int], Rows]
    train_targets: Callable[[int], Rows]
    validation_rows: Rows
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
    """Train a part of the network and leave the weights that the stage keeps in it.

    Args:
        part: rows to logits; what learns in it is marked by `layer.trainable`.
        stage: how.
        data: from what.
        is_sigmoid: the logits are one column, for the second of two labels.
        seed: of the run, and the stage's number; they decide the order of pictures.
        checkpoint: where to keep the state after each epoch, and to go on from if it is there.
        on_epoch: told the history so far after each epoch.
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
            found = predict_probabilities(part, data.validation_rows, is_sigmoid=is_sigmoid)
            held_out = _judged(found, stage, data)
            row["validation_loss"] = log_loss(held_out, data.validation_labels)
            row["validation_accuracy"] = accuracy(held_out, data.validation_labels)
            row["seconds"] = round(time.perf_counter() - started, 3)
            is_best = row["validation_loss"] < state.best_loss
            if is_best or stage.keep == "last":
                state.kept = part.get_weights()
                state.kept_probability = found
        state.validation.append(held_out.astype(np.float32))
        _advance(state, part, row)
        if checkpoint:
            save_state(state, checkpoint)
        on_epoch(state.history)
    part.set_weights(state.kept)
    return state


def _judged(found: np.ndarray, stage: Stage, data: StageData) -> np.ndarray:
    """Probabilities of the validation pictures that an epoch is judged by: float64 (M, K).

    Where targets are softened, at their best temperature: such a network is less sure than it
    is right, the more so the longer it learns, until it is calibrated at the end of the run.
    """
    if not stage.softens_targets:
        return found
    return at_best_temperature(found, data.validation_labels)


def predict_probabilities(part: keras.Model, rows: Rows, *, is_sigmoid: bool) -> np.ndarray:
    """Probabilities of a part for all rows.

    Returns:
        float64 (N, K), rows sum to 1.
    """
    batch = min(EVALUATION_BATCH, len(rows))
    logits = [
        keras.ops.convert_to_numpy(part.predict_on_batch(_floats(rows, start, batch)))
        for start in range(0, len(rows), batch)
    ]
    return probabilities_of(np.concatenate(logits)[: len(rows)], is_sigmoid=is_sigmoid)


def probabilities_of(logits: np.ndarray, *, is_sigmoid: bool) -> np.ndarray:
    """Softmax of logits, in double precision; one column stands for the second label."""
    logits = logits.astype(np.float64)
    if is_sigmoid:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    return softmax(logits)


def _floats(rows: Rows, start: int, batch: int) -> np.ndarray:
    """A batch of rows; the last is filled up, since Keras traces anew for another size."""
    found = np.asarray(rows[slice(start, start + batch)], dtype=np.float32)
    missing = batch - len(found)
    return np.concatenate([found, np.repeat(found[-1:], missing, axis=0)]) if missing else found


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
    rows, wanted = data.train_rows(epoch), data.train_targets(epoch)
    rng = np.random.default_rng(seed)
    order = _whole_batches(rng.permutation(len(rows)), stage.batch_size)
    starts = range(0, len(order), stage.batch_size)
    sums = np.zeros(3)
    progress.start(f"{stage.name} {epoch + 1}/{stage.epochs}", len(order))
    for number, start in enumerate(starts):
        picked = order[start : start + stage.batch_size]
        step = epoch * len(starts) + number
        rate = learning_rate_at(stage, step, stage.epochs * len(starts))
        part.optimizer.learning_rate.assign(rate)
        inputs = np.asarray(rows[picked], dtype=np.float32)
        targets = _targets(wanted[picked], is_sigmoid)
        if stage.mixup:
            inputs, targets = _mixed(inputs, targets, stage.mixup, rng)
        means = part.train_on_batch(inputs, targets, return_dict=True)
        sums += len(picked) * np.array([float(means["loss"]), float(means["accuracy"]), 1.0])
        progress.advance(len(picked))
    progress.finish()
    return {
        "epoch": epoch + 1,
        "learning_rate": rate,
        "loss": float(sums[0] / sums[2]),
        "accuracy": float(sums[1] / sums[2]),
    }


def _whole_batches(order: np.ndarray, size: int) -> np.ndarray:
    """The order without its last, smaller batch: other pictures miss their turn each epoch.

    A step on five pictures would weigh as much as one on 32, also in the statistics of
    BatchNormalization, and Keras would trace the network once more for their sake.
    """
    return order[: len(order) // size * size or len(order)]


def _mixed(
    inputs: np.ndarray, targets: np.ndarray, alpha: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Each row blended with another of its batch, and their targets with them.

    Source: Zhang et al. 2018, arXiv:1710.09412, with one share for the batch; on features
    it is manifold mixup (Verma et al. 2019, arXiv:1806.05236).
    """
    share = np.float32(rng.beta(alpha, alpha))
    other = rng.permutation(len(inputs))
    return (
        share * inputs + (1 - share) * inputs[other],
        share * targets + (1 - share) * targets[other],
    )


def _targets(wanted: np.ndarray, is_sigmoid: bool) -> np.ndarray:
    """What the network should say; the second label's column alone for a sigmoid head."""
    return np.asarray(wanted[:, 1:] if is_sigmoid else wanted, dtype=np.float32)


def _advance(state: StageState, part: keras.Model, row: dict[str, Any]) -> None:
    """Take the epoch that has just ended into the state."""
    state.epochs_done += 1
    state.history.append(row)
    state.weights = [copy_of(variable) for variable in _resumable(part)]
    state.optimizer = [copy_of(variable) for variable in part.optimizer.variables]


def _restore(part: keras.Model, state: StageState) -> None:
    """Put a state that was kept back into the part."""
    if not state.epochs_done:
        return
    for variable, value in zip(_resumable(part), state.weights, strict=True):
        variable.assign(value)
    for variable, value in zip(part.optimizer.variables, state.optimizer, strict=True):
        variable.assign(value)


def _resumable(part: keras.Model) -> list[keras.Variable]:
    """The weights, and the seeds from which dropout draws next."""
    seeds = [
        generator.state
        for layer in part._flatten_layers(include_self=False)
        for generator in getattr(layer, "_seed_generators", ())
    ]
    return [*part.weights, *seeds]


def _out_of_patience(stage: Stage, state: StageState) -> bool:
    """Whether the last `patience` epochs brought no lower validation loss."""
    losses = [row["validation_loss"] for row in state.history]
    if not stage.patience or len(losses) <= stage.patience:
        return False
    return min(losses[-stage.patience :]) >= min(losses[: -stage.patience])
