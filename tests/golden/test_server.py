"""Answers of the server are the texts of ``Model.generate`` for the same prompt, seed and parameters."""

from typing import Any

import pytest

from tests.golden.cases import CASES, Case
from tests.helpers.served import asynchronous, served

NAMES = {
    "defaults",
    "all truncations",
    "additive penalties",
    "mirostat",
    "logit_bias",
    "stop",
    "kept stop",
    "match",
    "choices",
    "max_copy",
    "names, beginning",
    "tune, stop",
    "bytes",
    "words",
}
CHOSEN = [case for case in CASES if case.name in NAMES]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("case", CHOSEN, ids=lambda case: case.name)
@asynchronous
async def test_an_answer_is_the_text_of_generate(case: Case, stream: bool) -> None:
    # The server has OpenAI's default temperature.
    fields: dict[str, Any] = {"temperature": 0.5, **case.sampling, "max_tokens": case.length}
    async with served(case.load()) as server:
        answer = await server.complete(prompt=case.prompt, seed=int(case.seed), stream=stream, **fields)
    assert (answer.status, answer.texts) == (200, [case.text])
