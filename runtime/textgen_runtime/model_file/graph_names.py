"""The names of the inputs and outputs of a model's graph."""

# Each input besides TOKEN is an array of the state. The output with its next value is named NEXT + its name.
TOKEN, LOGITS, NEXT = "token", "logits", "next_"
HIDDEN, CELL = "hidden", "cell"
NEXT_HIDDEN, NEXT_CELL = NEXT + HIDDEN, NEXT + CELL
INPUTS = (TOKEN, HIDDEN, CELL)
OUTPUTS = (LOGITS, NEXT_HIDDEN, NEXT_CELL)
