from __future__ import annotations

import numpy as np
import pytest

from pawsure.errors import ParityError, ShapeError
from pawsure.export.parity import compare


def test_agreement_is_told_in_numbers():
    reference = np.array([[0.2, 0.8], [0.5001, 0.4999], [1.0, 0.0]], np.float32)
    candidate = np.array([[0.2001, 0.7999], [0.4999, 0.5001], [1.0, 0.0]], np.float32)
    report = compare(reference, candidate, tolerance=1e-3)
    assert report.n == 3
    assert report.max_difference == pytest.approx(2e-4, rel=1e-3)
    assert report.mean_difference == pytest.approx(1e-4, rel=1e-3)
    assert report.answers_changed == 1  # a tie that fell the other way


def test_disagreement_names_the_worst_picture_and_both_answers():
    reference = np.array([[0.2, 0.8], [0.6, 0.4], [1.0, 0.0]])
    candidate = np.array([[0.2, 0.8], [0.3, 0.7], [0.9, 0.1]])
    with pytest.raises(
        ParityError,
        match=r"on 2 of 3 pictures; 1 answers differ\. The worst is number 1: "
        r"\(0\.6000, 0\.4000\) became \(0\.3000, 0\.7000\), where 0\.001 is allowed",
    ):
        compare(reference, candidate)


def test_not_a_number_is_a_disagreement_and_the_worst():
    reference = np.array([[0.2, 0.8], [0.6, 0.4]])
    candidate = np.array([[0.9, 0.1], [np.nan, 0.4]])
    with pytest.raises(ParityError, match=r"2 of 2 pictures.*number 1: .*\(nan, 0\.4000\)"):
        compare(reference, candidate)


def test_many_labels_are_cut_short_in_the_message():
    with pytest.raises(ParityError, match=r"0\.0000, …\) became"):
        compare(np.eye(6), np.eye(6)[::-1])


@pytest.mark.parametrize(
    ("reference", "candidate"),
    [(np.ones((2, 2)), np.ones((3, 2))), (np.ones(2), np.ones(2)), (np.ones((0, 2)),) * 2],
)
def test_arrays_that_do_not_go_together_are_refused(reference, candidate):
    with pytest.raises(ShapeError, match="the same pictures"):
        compare(reference, candidate)
