"""Make the models on board from finished runs: `pawsure/model/pets/pets-224.onnx`, `pets-128.onnx`.

    pawsure train DATA --recipe default --image-size 224 --out runs/pets-224
    pawsure train DATA --recipe default --out runs/pets-128
    python tools/pets_models.py DATA NEITHER runs/pets-224 runs/pets-128

DATA is the 20,000 photographs of the Asirra ("Dogs vs. Cats") set, in folders `cat` and `dog`;
NEITHER folders of strangers, here 48 classes of Caltech-101. Each network is quantised on
training pictures and looks at each picture twice; calibration, "unsure" and "neither" are fitted
on what comes of it, with the strangers shown. All figures are of the file as it is shipped, on
the test split, and are in its metadata. The card beside it is written by hand: a test holds it to
them.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx

from pawsure.data.catalog import Catalog
from pawsure.data.loader import iter_batches
from pawsure.data.recorded import recorded_catalog
from pawsure.data.sources import open_source
from pawsure.evaluation.evaluate import measure, predict, share_figure
from pawsure.export.agreement import run_both
from pawsure.export.model_file import write_model_file
from pawsure.export.quantise import NUM_PICTURES, drawn_rows, quantise_graph
from pawsure.export.second_look import with_second_look
from pawsure.model.metadata import read_metadata
from pawsure.model.onboard import onboard_folder
from pawsure.model.predictor import Predictor
from pawsure.training.recipe import recipe_from_text, recipe_to_toml
from pawsure.training.strangers import Strangers, find_strangers, run_strangers
from pawsure.trust.fit import fit_trust
from pawsure.trust.nodes import without_trust


def main() -> None:
    """Make each model and print what it reaches."""
    data, neither, *runs = sys.argv[1:]
    for run in map(Path, runs):
        path = onboard_folder() / f"{run.name}.onnx"
        figures = make(run, data, neither, path)
        print(json.dumps({run.name: figures}, indent=1))
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


def make(run: Path, data: str, neither: str, path: Path) -> dict[str, Any]:
    """Quantise the network of a run, fit its trust anew, measure, and write the model file."""
    recipe = recipe_from_text((run / "recipe.toml").read_text(), "recipe")
    recipe = replace(recipe, name=run.name, trust=replace(recipe.trust, neither="NEITHER"))
    catalog = recorded_catalog(run / "catalog.parquet", open_source(data))
    assert catalog is not None, f"{run} was not trained on {data}"
    strangers = find_strangers(neither, catalog, seed=recipe.seed, test=recipe.split.test)
    size_px = recipe.model.image_size
    rows = drawn_rows(catalog, "train", NUM_PICTURES, recipe.seed)
    batches = iter_batches(catalog.read, rows, size_px=size_px, batch_size=20)
    graph = quantise_graph(
        onnx.load(run / "model.onnx"), (batch.pictures for batch in batches if len(batch))
    )
    graph = with_second_look(without_trust(graph))
    trust = fit_trust(
        graph,
        catalog,
        max_error=recipe.trust.max_error,
        rejected=recipe.trust.rejected,
        size_px=size_px,
        seed=recipe.seed,
        strangers=strangers,
    )
    metadata = replace(
        read_metadata(run / "model.onnx"),
        recipe=recipe_to_toml(recipe),
        thresholds=trust.thresholds,
        precision="int8",
        figures={},
    )
    model = trust.attach(graph)
    path.parent.mkdir(exist_ok=True)
    write_model_file(model, metadata, path)
    figures = measured(path, run, catalog, strangers)
    write_model_file(model, replace(metadata, figures=figures), path)
    return figures


def measured(path: Path, run: Path, catalog: Catalog, strangers: Strangers) -> dict[str, Any]:
    """On test pictures, and on strangers of kinds that were shown, by the file itself."""
    predictor = Predictor(path)
    test = predict(predictor, catalog, split="test")
    found = measure(
        test.probability,
        test.label,
        catalog.labels,
        outcome=test.outcome,
    )
    thresholds = predictor.metadata.thresholds
    against = {}
    for name, before in (("float32", _float32(run)), ("one_look", Predictor(run))):
        pair = run_both(before, predictor.predict_batch, thresholds, catalog, catalog.where("test"))
        against[f"against_{name}"] = pair.accuracy(catalog, predictor.labels, "test")
    kept = ("n", "accuracy", "log_loss", "brier_score", "calibration_error", "answers")
    outcome = run_strangers(predictor, strangers)
    assert outcome is not None
    probability, familiarity = outcome
    accepted = int((familiarity >= predictor.metadata.thresholds["neither_below"]).sum())
    return {
        "test": {key: found[key] for key in kept},
        **against,
        "strangers": {"classes_shown": share_figure(accepted, len(probability))},
    }


def _float32(run: Path) -> Predictor:
    """The network of a run in float32, looking twice."""
    graph = with_second_look(onnx.load(run / "model.onnx"))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write_model_file(graph, read_metadata(run / "model.onnx"), path)
        return Predictor(path)


if __name__ == "__main__":
    main()
