"""A PyTorch loop that carries the state."""

import torch
from common import TEMPERATURE, arguments, report
from torch import nn

task = arguments()
torch.set_num_threads(1)
embedding = nn.Embedding(task.vocabulary, task.embedding)
lstm = nn.LSTM(task.embedding, task.units, task.layers)
output = nn.Linear(task.units, task.vocabulary)


@torch.inference_mode()
def generate(characters: int) -> None:
    token, state = torch.zeros((1, 1), dtype=torch.int64), None
    for _ in range(characters):
        hidden, state = lstm(embedding(token), state)
        distribution = torch.softmax(output(hidden[0, 0]) / TEMPERATURE, 0)
        token = torch.multinomial(distribution, 1).view(1, 1)


report(generate, 2000, f"torch {torch.__version__}")
