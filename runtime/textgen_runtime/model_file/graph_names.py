"""The names of the graph's inputs and outputs."""

# Every other input is an array of the state, whose next value is an output that is called NEXT and its name.
TOKEN, LOGITS, NEXT = "token", "logits", "next_"
HIDDEN, CELL = "hidden", "cell"
NEXT_HIDDEN, NEXT_CELL = NEXT + HIDDEN, NEXT + CELL
INPUTS = (TOKEN, HIDDEN, CELL)
OUTPUTS = (LOGITS, NEXT_HIDDEN, NEXT_CELL)
