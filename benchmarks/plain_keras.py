"""The seed's recipe as a plain Keras script, the way anyone would write it.

It is what pawsure's `classic` recipe is measured against, so it is kept simple and fair:
`ImageDataGenerator` scaling to 0...1, MobileNetV2 at 128 x 128, a pooled sigmoid head, 8 epochs
frozen, then 5 with the layers from 100 on unfrozen, RMSprop 1e-4, binary cross-entropy.

    python benchmarks/plain_keras.py FOLDER WEIGHTS.h5 OUT.json [SEED]

FOLDER holds train/<class>/ and validation/<class>/. Figures go to OUT.json, the model beside it.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

STARTED = time.perf_counter()

import keras  # noqa: E402  (the import is part of what is timed)
from keras.src.legacy.preprocessing.image import ImageDataGenerator  # noqa: E402

IMAGE_SIZE = (128, 128)
BATCH_SIZE = 32


def main(folder: Path, weights: str, out: Path, seed: int) -> None:
    """Train in two stages and write the histories."""
    keras.utils.set_random_seed(seed)
    scaled = ImageDataGenerator(rescale=1.0 / 255)
    train = scaled.flow_from_directory(
        folder / "train", target_size=IMAGE_SIZE, batch_size=BATCH_SIZE, class_mode="binary"
    )
    validation = scaled.flow_from_directory(
        folder / "validation",
        target_size=IMAGE_SIZE,
        batch_size=BATCH_SIZE,
        class_mode="binary",
        shuffle=False,
    )

    base = keras.applications.MobileNetV2(
        input_shape=(*IMAGE_SIZE, 3), include_top=False, weights=weights
    )
    base.trainable = False
    model = keras.Sequential(
        [
            base,
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )

    def compile_model() -> None:
        model.compile(
            optimizer=keras.optimizers.RMSprop(learning_rate=1e-4),
            loss="binary_crossentropy",
            metrics=["accuracy"],
        )

    compile_model()
    head = model.fit(train, validation_data=validation, epochs=8, verbose=2)

    base.trainable = True
    for layer in base.layers[:100]:
        layer.trainable = False
    compile_model()
    tuned = model.fit(train, validation_data=validation, epochs=5, verbose=2)

    model.save(out.with_suffix(".keras"))
    out.write_text(
        json.dumps(
            {
                "head": {key: [float(v) for v in values] for key, values in head.history.items()},
                "fine-tune": {
                    key: [float(v) for v in values] for key, values in tuned.history.items()
                },
                "pictures": {"train": train.samples, "validation": validation.samples},
                "seconds": time.perf_counter() - STARTED,
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]) if sys.argv[4:] else 0)
