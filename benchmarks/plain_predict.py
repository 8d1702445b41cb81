"""One picture, one answer, the way a script does it with Keras.

python benchmarks/plain_predict.py MODEL.keras PICTURE
"""

from __future__ import annotations

import sys

import keras

if __name__ == "__main__":
    model = keras.saving.load_model(sys.argv[1], compile=False)
    size = model.input_shape[1:3]
    picture = keras.utils.img_to_array(keras.utils.load_img(sys.argv[2], target_size=size))
    print(model.predict(picture[None], verbose=0)[0])
