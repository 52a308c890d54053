"""An onnxruntime loop with IO binding: inputs, outputs and state stay in preallocated arrays."""

import numpy as np
import onnxruntime
from common import TEMPERATURE, arguments, report

task = arguments()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(task.model, options, providers=["CPUExecutionProvider"])
layers, _, units = session.get_inputs()[1].shape
vocabulary = session.get_outputs()[0].shape[2]
rng = np.random.default_rng(0)

token = np.zeros((1, 1), np.int64)
logits = np.zeros((1, 1, vocabulary), np.float32)
# Two buffers of the state: one is the input of a step, the other the output.
states = [[np.zeros((layers, 1, units), np.float32) for _ in range(2)] for _ in range(2)]


def value(array: np.ndarray) -> onnxruntime.OrtValue:
    return onnxruntime.OrtValue.ortvalue_from_numpy(array)


token_value, logits_value = value(token), value(logits)
state_values = [[value(array) for array in pair] for pair in states]
bindings = []
for i in range(2):
    binding = session.io_binding()
    binding.bind_ortvalue_input("token", token_value)
    binding.bind_ortvalue_output("logits", logits_value)
    for name, index in (("hidden", 0), ("cell", 1)):
        binding.bind_ortvalue_input(name, state_values[i][index])
        binding.bind_ortvalue_output(f"next_{name}", state_values[1 - i][index])
    bindings.append(binding)


def generate(characters: int) -> None:
    for i in range(characters):
        session.run_with_iobinding(bindings[i % 2])
        scaled = logits_value.numpy()[0, 0].astype(np.float64) / TEMPERATURE
        exp_logits = np.exp(scaled - scaled.max())
        token[0, 0] = rng.multinomial(1, exp_logits / exp_logits.sum()).argmax()
        token_value.update_inplace(token)


report(generate, 5000, f"onnxruntime {onnxruntime.__version__}")
