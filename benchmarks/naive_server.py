"""The server that anyone would write: FastAPI that calls Keras's `predict` for each request.

What `benchmarks/serving.py` measures `pawsure serve` against. The network is the same,
MobileNetV2 at 128 x 128 with a pooled softmax head; its weights do not matter for its speed.

    python benchmarks/naive_server.py PORT
"""

from __future__ import annotations

import io
import sys

import keras
import numpy as np
import uvicorn
from fastapi import FastAPI, UploadFile
from PIL import Image

base = keras.applications.MobileNetV2(
    input_shape=(128, 128, 3), include_top=False, weights=None, pooling="avg"
)
model = keras.Sequential([base, keras.layers.Dense(2, activation="softmax")])
app = FastAPI()


@app.post("/predict")
async def predict(file: UploadFile) -> dict:
    """One picture in, one answer out."""
    image = Image.open(io.BytesIO(await file.read())).convert("RGB").resize((128, 128))
    pixels = np.asarray(image, np.float32)[np.newaxis] / 127.5 - 1
    probability = model.predict(pixels, verbose=0)[0]
    return {"label": ["cat", "dog"][int(probability.argmax())], "probability": probability.tolist()}


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
