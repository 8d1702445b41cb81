"""Make the weights on board from a run: `pawsure/network/pets_mobilenet_v2.npz`.

    pawsure train DATA --recipe default --image-size 224 --out runs/pets-224
    python tools/pets_weights.py runs/pets-224

DATA is the 20,000 photographs of the Asirra ("Dogs vs. Cats") set, in folders `cat` and `dog`.
Only the backbone is kept; its provenance goes beside it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pawsure.network.framework import keras
from pawsure.network.weight_files import save_weights_float16
from pawsure.network.weights import PETS_BACKBONE, pets_file


def main(run: Path) -> None:
    """Write the backbone of a run as the weights on board."""
    network = keras.saving.load_model(run / "model.keras", compile=False)
    backbone = next(layer for layer in network.layers if isinstance(layer, keras.Model))
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    provenance = {
        "data": "Asirra / Dogs vs. Cats training set, numbers 0-9999 of each class; pawsure's "
        "own split with seed 0, its validation and test pictures kept out of training",
        "pictures": metrics["counts"],
        "recipe": (run / "recipe.toml").read_text(encoding="utf-8"),
        "started_from": f"ImageNet weights of {PETS_BACKBONE}",
        "test_accuracy": metrics["test"]["accuracy"],
        "test_log_loss": metrics["test"]["log_loss"],
        "reproduce": [
            "pawsure train DATA --recipe default --image-size 224 --out runs/pets-224",
            "python tools/pets_weights.py runs/pets-224",
        ],
    }
    path = pets_file()
    save_weights_float16(backbone, path, provenance)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
