"""A lack of memory is an error of one line; other exceptions stay as they are."""

import pytest
from textgen_train.errors import TrainingError, explaining_memory_errors


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (MemoryError(), TrainingError),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), TrainingError),
        (RuntimeError("a defect"), RuntimeError),
    ],
)
def test_a_lack_of_memory_is_explained(raised: Exception, expected: type[Exception]) -> None:
    message = "not enough memory for this network" if expected is TrainingError else "a defect"
    with pytest.raises(expected, match=message), explaining_memory_errors():
        raise raised
