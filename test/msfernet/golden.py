"""Write down what the shipped weights say of a few pictures, for `test_golden.py`.

    PYTHONPATH=. python test/msfernet/golden.py

Run it after the weights have changed on purpose, and look at the difference before committing it.
"""

import json
from pathlib import Path

import cv2
import matplotlib.cbook
import numpy as np
import skimage.data
import torch
from msfernet_support import SHIPPED

from fer_ros.emotions import EMOTIONS
from fer_ros.msfernet.evaluate import checksum
from fer_ros.msfernet.preprocessing import network_input
from fer_ros.msfernet.weights import load_model
from fer_ros.msfernet.weights_file import INPUT_SIZE

GOLDEN = Path(__file__).with_name('golden.json')


def pictures() -> dict[str, np.ndarray]:
    """Two portraits in the public domain, framed as the training faces are, and a pattern: (48, 48) uint8 each."""
    hopper = str(matplotlib.cbook.get_sample_data('grace_hopper.jpg', asfileobj=False))
    rows, columns = np.mgrid[:INPUT_SIZE, :INPUT_SIZE]
    return {'astronaut': _crop(cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2GRAY), 163, 54, 124),
            'grace_hopper': _crop(cv2.imread(hopper, cv2.IMREAD_GRAYSCALE), 151, 100, 226),
            'pattern': ((3 * rows + columns * columns) % 256).astype(np.uint8)}


def _crop(image: np.ndarray, x: int, y: int, side: int) -> np.ndarray:
    return cv2.resize(image[y:y + side, x:x + side], (INPUT_SIZE, INPUT_SIZE), interpolation=cv2.INTER_AREA)


def say() -> dict:
    """Calibrated probabilities and the length of the embedding for each picture, and which weights say so."""
    model = load_model(SHIPPED)
    shown = pictures()
    faces = network_input(np.stack(list(shown.values())))
    with torch.inference_mode():
        logits, _, embedding = model.network(faces)
    probabilities = (logits / model.temperature).softmax(1)
    return {'sha256': checksum(SHIPPED), 'emotions': list(EMOTIONS), 'pictures': {
        name: {'probabilities': [round(p, 5) for p in row.tolist()], 'embedding_length': round(vector.norm().item(), 4)}
        for name, row, vector in zip(shown, probabilities, embedding, strict=True)}}


if __name__ == '__main__':
    GOLDEN.write_text(json.dumps(say(), indent=1) + '\n')
    print(GOLDEN.read_text())
