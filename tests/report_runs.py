"""Figures for run folders that tests make, and how to change those of one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TRUST: dict[str, Any] = {
    "calibration": {
        "method": "temperature",
        "temperature": 1.4,
        "test": {
            when: {
                name: {"value": 0.1, "low": 0.05, "high": 0.2}
                for name in ("log_loss", "brier_score", "calibration_error")
            }
            for when in ("before", "after")
        },
    },
    "unsure": {
        "threshold": 0.93,
        "method": "estimate",
        "max_error": 0.01,
        "level": 0.9,
        "coverage": 0.8,
        "error": 0.004,
        "pictures_needed": 230,
    },
    "neither": {
        "threshold": 0.05,
        "test": [2] * 20,
        "ood": {
            "n": 40,
            "accepted": {"value": 0.1, "low": 0.04, "high": 0.23},
            "familiarity": [36, 2, 1, 1] + [0] * 16,
        },
    },
}


def change_metrics(run: Path, **changes: Any) -> None:
    """Replace keys of metrics.json; None takes them out."""
    metrics = json.loads((run / "metrics.json").read_text())
    metrics |= changes
    kept = {key: value for key, value in metrics.items() if value is not None}
    (run / "metrics.json").write_text(json.dumps(kept))
