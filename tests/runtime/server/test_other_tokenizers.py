"""A server whose model has tokens of two characters, and a decoder that holds text back."""

import pytest
import textgen_runtime as textgen
from textgen_runtime.model_file.metadata import Metadata
from textgen_runtime.text.levels import TOKENIZERS
from textgen_train.export.onnx_graph import build_model

from tests.helpers.make_tiny_model import random_network
from tests.helpers.paths import FORMAT_2
from tests.helpers.served import asynchronous, served
from tests.runtime.text.test_custom_tokenizer import PAIRS, PairTokenizer


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> textgen.Model:
    """The model."""
    monkeypatch.setitem(TOKENIZERS, PairTokenizer.level, lambda: PairTokenizer)
    metadata = Metadata(PairTokenizer(PAIRS), prompts=("abcc",))
    return textgen.load(build_model(*random_network(len(PAIRS)), metadata).SerializeToString())


@asynchronous
async def test_texts_are_those_of_generate(model: textgen.Model) -> None:
    prompt = "abca" * 200
    async with served(model) as server:
        answer = await server.complete(
            prompt=prompt, max_tokens=100, seed=4, n=2, stream=True, stop="\n\n", echo=True
        )
        usage = (await server.complete(prompt=prompt, max_tokens=3)).json["usage"]
    expected = model.generate([prompt] * 2, length=100, seed=4, temperature=1.0, stop="\n\n")
    assert answer.texts == [prompt + text for text in expected]
    assert usage == {"prompt_tokens": 400, "completion_tokens": 3, "total_tokens": 403}


@asynchronous
async def test_a_stop_text_that_a_model_of_words_may_miss_is_a_warning() -> None:
    async with served(textgen.load(FORMAT_2 / "word.onnx")) as server:
        answer = await server.complete(prompt="ab", stop=["cab", "\n"], max_tokens=3)
        certain = await server.complete(prompt="ab", stop="\n", max_tokens=3)
    (warning,) = answer.json["warnings"]
    assert warning.startswith("the stop text 'cab' may be missed")
    assert "warnings" not in certain.json


@asynchronous
async def test_log_probabilities_are_refused(model: textgen.Model) -> None:
    async with served(model) as server:
        answer = await server.complete(prompt="abca", logprobs=0)
    assert answer.status == 400
    assert answer.json["error"]["param"] == "logprobs"
