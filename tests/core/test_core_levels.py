"""The C core with models of bytes, words and records, compared with Python."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from textgen_runtime.model import open_model
from textgen_runtime.model_file import Metadata, make_tokenizer
from textgen_runtime.text import RECORD_KINDS, RecordKind
from textgen_runtime.tokenizer import BYTE_SYMBOLS, SpecialTokens
from textgen_train.export.onnx_graph import build_model

from tests.helpers.c_programs import PROGRAMS, Build, link, run
from tests.helpers.core_reader import read_text
from tests.helpers.make_tiny_model import random_network
from tests.helpers.paths import ROOT
from tests.helpers.record_models import LEVELS, record_content

# Letters of all lengths of UTF-8, and a word at the limit of the length.
WORDS = (*" abcdrt\n,é€ж𝄞\ufeff", "cab", " cab", " ca", "bcd", "ca_9", "éж", " é𝄞", "a" * 64)
TEXTS = (
    "",
    "cab",
    "cab cab  cab,cab",
    "acabcabcd bcdcabd",
    "ca_9 ca_ ca9",
    "é éж éжé𝄞 é𝄞,𝄞€",
    "a" * 63,
    "a" * 64,
    "a" * 65 + "b",
    " " + "a" * 200,
    "a\ufeffb",
)


def continuous(level: str) -> bytes:
    """A model file without records: of bytes, or of words with an unknown symbol."""
    words = make_tokenizer("word", ("", *WORDS), SpecialTokens(0))
    tokenizer = make_tokenizer("byte", BYTE_SYMBOLS) if level == "byte" else words
    network, weights = random_network(len(tokenizer))
    return build_model(network, weights, Metadata(tokenizer)).SerializeToString()


def tokens(reader: Path, model: Path, text: bytes) -> list[int]:
    done = read_text(reader, model, text, model.parent)
    assert done.returncode == 0
    (line,) = [line for line in done.stdout.decode().splitlines() if line.startswith("tokens")]
    return [int(each.split(":")[0]) for each in line.split()[1:]]


@pytest.mark.parametrize("level", ["byte", "word"])
@pytest.mark.parametrize("text", TEXTS)
def test_a_text_has_pythons_tokens(core_reader: Path, tmp_path: Path, level: str, text: str) -> None:
    path = tmp_path / "model"
    path.write_bytes(continuous(level))
    expected = open_model(path.read_bytes(), "native").metadata.tokenizer.encode(text)
    assert tokens(core_reader, path, text.encode()) == expected.tolist()


def test_words_that_begin_with_each_other_are_found_as_by_python(core_reader: Path, tmp_path: Path) -> None:
    rng = random.Random(1)

    def word(longest: int) -> str:
        return "".join(rng.choices("ab€z", (8, 4, 2, 1), k=rng.randint(1, longest)))

    path = tmp_path / "model"
    for _ in range(20):
        # Beginnings of one long word, so that many words begin with many others.
        common = word(60)
        symbols = {
            *"ab€",
            *(common[: rng.randint(1, 60)] + word(4) for _ in range(60)),
            *(f" {word(9)}" for _ in "abc"),
        }
        tokenizer = make_tokenizer("word", ("", *rng.sample(sorted(symbols), len(symbols))), SpecialTokens(0))
        network, weights = random_network(len(tokenizer))
        path.write_bytes(build_model(network, weights, Metadata(tokenizer)).SerializeToString())
        text = "".join(rng.choice((common, common[: rng.randint(1, 60)], word(9), " ")) for _ in range(60))
        read = tokens(core_reader, path, text.encode())
        assert read == tokenizer.encode(text).tolist()
        assert [token or -1 for token in read] == tokenizer.encode_known(text).tolist()


def test_bytes_are_fed_as_they_are(core_reader: Path, tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(continuous("byte"))
    text = b"\xef\xbb\xbfa\r\nb\rc\xff\xc3"
    assert tokens(core_reader, path, text) == [*text]


@pytest.mark.parametrize("kind", RECORD_KINDS)
@pytest.mark.parametrize("level", LEVELS)
def test_streams_start_and_end_records(
    build: Build, objects: Path, tmp_path: Path, level: str, kind: RecordKind
) -> None:
    path = tmp_path / "model"
    path.write_bytes(record_content(level, kind, end_bias=4.0 if level == "byte" else 0.0))
    run(link(build, objects, PROGRAMS / "records.c"), path, kind, level)


def test_lanes_end_as_their_constraints_and_records_say(build: Build, objects: Path, tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(record_content("word"))
    run(link(build, objects, PROGRAMS / "endings.c"), path)


def test_the_example_writes_the_record_that_the_command_writes(
    build: Build, objects: Path, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(record_content("word"))
    program = link(build, objects, ROOT / "examples" / "generate.c")
    command = [str(Path(sys.executable).parent / "textgen-run"), str(path), "--temp", "1", "--seed", "3"]
    written = run(program, path, "", "1", "3")
    assert len(written) > 1
    assert written == subprocess.run(command, capture_output=True, check=True).stdout.decode()
