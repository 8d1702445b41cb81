"""One stage in Keras: its batches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

keras = pytest.importorskip("keras")

from pawsure.training import stages  # noqa: E402  (Keras first)


@given(st.integers(1, 200), st.integers(1, 64))
def test_batches_are_whole_and_nobody_comes_twice(count, size):
    kept = stages._whole_batches(np.random.default_rng(0).permutation(count), size)
    assert len(set(kept)) == len(kept) > max(0, count - size)
    assert len(kept) % size == 0 or len(kept) == count < size


@pytest.mark.parametrize("count", [1, 7, 8, 9, 20])
def test_a_last_batch_that_is_filled_up_changes_no_answer(count, monkeypatch):
    monkeypatch.setattr(stages, "EVALUATION_BATCH", 8)
    given_rows = keras.Input((3,))
    part = keras.Model(given_rows, keras.layers.Dense(2)(given_rows))
    rows = np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32)
    found = stages.predict_probabilities(part, rows, is_sigmoid=False)
    wanted = stages.probabilities_of(part.predict_on_batch(rows), is_sigmoid=False)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
