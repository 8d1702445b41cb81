"""Make the built-in model `pets.onnx` from a finished run.

    pawsure train DATA --recipe tools/pets.toml --out RUN
    python tools/pets_models.py DATA RUN FOLDER... [--rejected 0.02]

DATA is the 20,000 photographs of the Asirra ("Dogs vs. Cats") set, in folders `cat` and `dog`. Each
FOLDER has a folder for each kind of thing; see `tools/backgrounds.py` for which of them become the
background. The network is quantised on training pictures, and calibration, "unsure" and "neither"
are fitted on what comes of it. All figures are of the file as it is shipped, on the test split, and
are in its metadata. The card beside it is written by hand: a test holds it to them.

`pets-small.onnx`, MobileNetV2 at 128 pixels, is the network of an earlier release (a `default` run,
quantised, test-time augmentation in the graph), whose trust alone is fitted anew:

    python tools/pets_models.py DATA pets-small FOLDER... [--rejected 0.1]
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).parent))
from backgrounds import backbone_graph, background_kinds  # noqa: E402

from pawsure.copies.grouping import grouped_catalog  # noqa: E402
from pawsure.data.catalog import Catalog  # noqa: E402
from pawsure.data.images import read_file  # noqa: E402
from pawsure.data.loader import iter_batches  # noqa: E402
from pawsure.data.sources import list_pictures  # noqa: E402
from pawsure.data.split import assign_splits  # noqa: E402
from pawsure.evaluation.evaluate import predict  # noqa: E402
from pawsure.evaluation.measure import measure  # noqa: E402
from pawsure.export.model_file import write_model_file  # noqa: E402
from pawsure.export.quantise import NUM_PICTURES, drawn_rows, quantise_graph  # noqa: E402
from pawsure.model.builtin import builtin_folder, find_model  # noqa: E402
from pawsure.model.metadata import read_metadata  # noqa: E402
from pawsure.model.predictor import Predictor  # noqa: E402
from pawsure.network.pretrained import pretrained_classifier  # noqa: E402
from pawsure.training.figures import IN_THE_FILE  # noqa: E402
from pawsure.training.recipe import Recipe, recipe_from_text, recipe_to_toml  # noqa: E402
from pawsure.trust.background import background_of, known_of  # noqa: E402
from pawsure.trust.fit import fit_trust  # noqa: E402
from pawsure.trust.log_odds import CompactClassifier  # noqa: E402
from pawsure.trust.nodes import Parts, without_trust  # noqa: E402
from pawsure.trust.outputs import Outputs  # noqa: E402

SMALL = "pets-small"

NUM_MAPPED = 4000
"""Training pictures that the map between two embeddings is fitted on."""

RIDGE = 0.1
"""Of the mean square of a feature. From 0.01 to 1 the figures are the same within noise."""

NUM_DIRECTIONS = 112
"""Of each Gaussian: what fits into 7 MB beside the network and its ImageNet classifier."""


def main() -> None:
    """Make a model and print what it reaches."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("run", help=f"a run folder, or {SMALL}")
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--rejected", type=float, default=0.02)
    given = parser.parse_args()
    source = find_model(given.run)
    metadata = read_metadata(source)
    recipe = recipe_from_text(metadata.recipe, given.run)
    recipe = replace(recipe, trust=replace(recipe.trust, rejected=given.rejected))
    seed, size_px = recipe.seed, metadata.size_px
    catalog = assign_splits(
        grouped_catalog(given.data).catalog,
        seed=seed,
        validation=recipe.split.validation,
        test=recipe.split.test,
    )
    graph = without_trust(onnx.load(source))
    if metadata.precision != "int8":
        graph = _quantised(graph, catalog, size_px, seed)
    paths = list_pictures([kind for folder in given.folders for kind in background_kinds(folder)])
    ordinary = Outputs(graph, size_px)(
        lambda row: read_file(str(paths[row])), np.arange(len(paths)), "Background"
    )
    kinds = np.array([paths[row].parent.name for row in ordinary.rows])
    known = known_of(
        background_of(ordinary.embedding, kinds, num_directions=NUM_DIRECTIONS),
        None
        if recipe.model.weights != "imagenet"
        else _classifier(recipe, graph, catalog, paths, ordinary.embedding),
        num_directions=NUM_DIRECTIONS,
    )
    trust = fit_trust(
        graph,
        catalog,
        max_error=recipe.trust.max_error,
        rejected=given.rejected,
        size_px=size_px,
        seed=seed,
        parts=Parts(known=known),
    )
    print(*trust.sentences(), sep="\n")
    path = builtin_folder() / f"{SMALL if given.run == SMALL else 'pets'}.onnx"
    recipe = replace(recipe, name=path.stem)
    metadata = replace(
        metadata,
        recipe=recipe_to_toml(recipe),
        thresholds=trust.thresholds,
        precision="int8",
        figures={},
    )
    model = trust.attach(graph)
    write_model_file(model, metadata, path)
    test = predict(Predictor(path), catalog, split="test")
    figures = measure(test.probability, test.label, catalog.labels, outcome=test.outcome)
    stamped = {"test": {name: figures[name] for name in IN_THE_FILE}}
    write_model_file(model, replace(metadata, figures=stamped), path)
    print(stamped)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


def _quantised(
    graph: onnx.ModelProto, catalog: Catalog, size_px: int, seed: int
) -> onnx.ModelProto:
    rows = drawn_rows(catalog, "train", NUM_PICTURES, seed)
    batches = iter_batches(catalog.read, rows, size_px=size_px, batch_size=20)
    return quantise_graph(graph, (batch.pictures for batch in batches if len(batch)))


def _classifier(
    recipe: Recipe,
    graph: onnx.ModelProto,
    catalog: Catalog,
    paths: list[Path],
    ordinary: np.ndarray,
) -> CompactClassifier:
    """The pretrained classifier, for the embedding of the network as it is now.

    Fine-tuning and quantisation move the embedding. A linear map that takes it back to where the
    pretrained network puts a picture, fitted on training pictures and ordinary ones by ridge
    regression towards the identity, becomes part of the kernel.
    """
    model = recipe.model
    found = pretrained_classifier(model.backbone, model.weights, size_px=model.image_size)
    assert found is not None
    frozen = Outputs(backbone_graph(model), model.image_size)
    network = Outputs(graph, model.image_size)
    rows = drawn_rows(catalog, "train", NUM_MAPPED, recipe.seed)
    now = np.concatenate([network(catalog.read, rows, "Network").embedding, ordinary])
    before = np.concatenate(
        [
            frozen(catalog.read, rows, "Frozen network").embedding,
            frozen(
                lambda row: read_file(str(paths[row])), np.arange(len(paths)), "Frozen network"
            ).embedding,
        ]
    )
    weight = np.repeat([1.0, 8.0], [len(rows), len(ordinary)])[:, np.newaxis]
    features = np.concatenate([now, np.ones((len(now), 1))], axis=1).astype(np.float64)
    weighted = (features * weight).T
    gram = weighted @ features
    penalty = RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    unchanged = np.eye(len(gram), len(gram) - 1)
    moved = np.linalg.solve(gram + penalty, weighted @ (before - features @ unchanged))
    back = unchanged + moved
    return CompactClassifier.of(back[:-1] @ found.kernel, back[-1] @ found.kernel + found.bias)


if __name__ == "__main__":
    main()
