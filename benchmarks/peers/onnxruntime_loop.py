"""An onnxruntime loop over the project's model file, with ``session.run`` and numpy sampling."""

import numpy as np
import onnxruntime
from common import TEMPERATURE, arguments, report

task = arguments()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(task.model, options, providers=["CPUExecutionProvider"])
layers, _, units = session.get_inputs()[1].shape
rng = np.random.default_rng(0)


def generate(characters: int) -> None:
    hidden = cell = np.zeros((layers, 1, units), np.float32)
    token = 0
    for _ in range(characters):
        inputs = {"token": np.array([[token]]), "hidden": hidden, "cell": cell}
        logits, hidden, cell = session.run(["logits", "next_hidden", "next_cell"], inputs)
        scaled = logits[0, 0].astype(np.float64) / TEMPERATURE
        exp_logits = np.exp(scaled - scaled.max())
        token = int(rng.multinomial(1, exp_logits / exp_logits.sum()).argmax())


report(generate, 5000, f"onnxruntime {onnxruntime.__version__}")
