"""The names of the inputs and outputs of a model's graph."""

# Each input besides TOKEN is an array of the state. The output with its next value is named NEXT + its name.
TOKEN, LOGITS, NEXT = "token", "logits", "next_"
# The state of an LSTM. A GRU has only HIDDEN.
HIDDEN, CELL = "hidden", "cell"
# The state of the convolution with the number i is INPUTS_PREFIX + i.
INPUTS_PREFIX = "inputs_"
# The state arrays of the graphs of format 1.
FORMAT_1_STATE = (HIDDEN, CELL)
