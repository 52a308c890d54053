"""The values that the documents state: defaults, limits and sizes are those of the code.

To change a value, change the code. A test then fails, and names the sentences that state the earlier value.
"""

import math
import re
from inspect import signature
from pkgutil import resolve_name
from typing import Any

import pytest
import textgen_runtime as textgen
from textgen_train.models.cells import CELLS
from textgen_train.presets import CHOICES, LARGE_VOCABULARY, PRESETS, Choice, preset
from textgen_train.recipe import Recipe

from tests.helpers.paths import ROOT

BUNDLED = ROOT / "runtime/textgen_runtime/bundled_models"

# Parts of the text of each page, without line ends. A name in braces stands for its value in Python, or with
# slashes in JavaScript.
STATED = {
    "docs/cluster.md": [
        "a process needs at least {textgen_train.loop.replicas.MIN_LANES} sequences",
        "the default batch of {textgen_train.recipe.Recipe.batch} sequences",
    ],
    "docs/constraints.md": [
        "| characters of an expression | {textgen_runtime.constraints.expression.MAX_LENGTH:,} |",
        "repetitions are written out | {textgen_runtime.constraints.automaton.MAX_POSITIONS:,} |",
        "| states | {textgen_runtime._core.MAX_STATES:,} |",
        "| characters of all choices | {textgen_runtime.constraints.MAX_CHARACTERS:,} |",
        "The latest {textgen_runtime.constraints.MAX_CACHED} expressions are kept",
    ],
    "train/textgen_train/presets.py": [
        "None stands for the {textgen_train.presets.USUAL_EPOCHS} epochs of a run",
        "From {textgen_train.presets.MIN_TEACHER_WEIGHT:g} on, the preset",
    ],
    "docs/generating.md": [
        "tokens to generate, {textgen_runtime.model.DEFAULT_LENGTH} by default",
        "Above {textgen_runtime.cli.options.MAX_USUAL_TEMPERATURE}, a text is almost random",
        "Each record has at most {textgen_runtime.model.DEFAULT_RECORD_LENGTH:,} tokens",
        "Up to {textgen_runtime.cli.texts.MAX_LANES} texts are generated together",
        "If {textgen_runtime.cli.texts.MAX_REJECTED_IN_A_ROW:,} texts in a row are rejected",
    ],
    "docs/interactive.md": [
        "up to {textgen_runtime.cli.interactive.MAX_STEPS} lines can be taken back",
        "After {textgen_runtime.cli.texts.MAX_REJECTED_IN_A_ROW:,} continuations",
    ],
    "docs/model-file.md": [
        "IR version {textgen_train.export.onnx_graph.IR_VERSION}",
        "it has at most {textgen_train.data.words.MAX_SYMBOL_LENGTH} characters",
    ],
    "docs/python.md": ["chunks of up to {textgen_runtime.model.STREAM_CHUNK} tokens"],
    "docs/quantization.md": [
        "about {textgen_train.export.quantizer.GENERATED_CHARACTERS:,} characters that the float32 model",
        "by less than {textgen_train.export.quantizer.MAX_INCREASE} nats",
        "more than {textgen_train.export.quantizer.REFUSED_INCREASE}, the 8-bit model is not written",
    ],
    "docs/scoring.md": [
        "It generates {textgen_runtime.temperatures.TEXTS} texts",
        "of up to {textgen_runtime.temperatures.LENGTH} tokens",
        "spans of {textgen_runtime.temperatures.COPIED_SPAN} or more characters",
    ],
    "docs/serving.md": [
        "http://127.0.0.1:{textgen_runtime.cli.serve.DEFAULT_PORT}/v1",
        "The server listens on {textgen_runtime.cli.serve.DEFAULT_HOST}",
        "`max_completion_tokens` | {textgen_runtime.server.requests.DEFAULT_LENGTH}; chats",
        "chats {textgen_runtime.model.DEFAULT_LENGTH}, or",
        "or {textgen_runtime.model.DEFAULT_RECORD_LENGTH} for a model of records |",
        "or has {textgen_runtime.server.running.MAX_CONNECTIONS:,} connections |",
        "| `temperature` | {textgen_runtime.server.requests.DEFAULT_TEMPERATURE:g} | one of these",
        "together at most {textgen_runtime.server.requests.MAX_STOP_CHARACTERS:,} characters",
        "for at most {textgen_runtime.server.requests.MAX_SCORED_TOKENS:,} tokens",
        "of 1 to {textgen_runtime.server.app.MAX_ID_LENGTH} letters",
        "| `--max-length` | {textgen_runtime.server.requests.Settings.max_length} | tokens per text |",
        "| `--max-users` | {textgen_runtime.server.requests.Settings.max_users} |",
        "| `--max-queue` | {textgen_runtime.server.requests.Settings.max_queue} |",
        "| `--max-body` | {textgen_runtime.server.requests.Settings.max_body} |",
        "| `--client-timeout` | {textgen_runtime.server.requests.Settings.client_timeout:g} |",
    ],
    "docs/troubleshooting.md": [
        "writes a text of {textgen_runtime.model.DEFAULT_LENGTH} characters",
        "a text has at most {textgen_runtime.model.DEFAULT_LENGTH} characters",
    ],
    "docs/temperature.md": [
        "each of the {textgen_runtime.cli.explain.MAX_ROWS} most likely characters",
    ],
    "docs/training-reference.md": [
        "`--vocabulary-size` (default: {textgen_train.options.VOCABULARY_SIZE})",
        "share of the predictions (default: {textgen_train.options.TEACHER_WEIGHT})",
        "before {textgen_train.cli._messages.MAX_SHARE_TO_BEST:.0%} of its time",
        "risen by at least {textgen_train.cli._messages.MIN_LOSS_RISE} nats since",
        "`{textgen_train.options.DEFAULT_PRESET}` (default) |",
        "with a weight of {textgen_train.presets.MIN_TEACHER_WEIGHT} or more",
        "A vocabulary is large if at least {textgen_train.presets.LARGE_VOCABULARY} symbols are common",
        "the most frequent ones that make up {textgen_train.data.dataset.COMMON_SHARE:.0%} of it",
        "epochs of {textgen_train.presets.SCALE:,} characters",
        "and {textgen_train.options.CLASSIC_EPOCHS} epochs by default",
        "including the evaluations. The default is {textgen_train.options.DEFAULT_MINUTES:g}",
        "one thread per {textgen_train.loop.replicas.MIN_LANES} sequences of the batch",
        "the {textgen_train.data.predictions.LIKELIEST} most likely tokens",
        "but at most {textgen_train.loop.held_out_loss.MAX_TRAINING_TOKENS:,}",
        "the last {textgen_train.report.losses.MAX_TRAINING_TOKENS:,} training tokens",
        "the first {textgen_train.report.losses.MAX_HELD_OUT_TOKENS:,} held-out tokens",
        "every {textgen_train.loop.checkpoint_file.MIN_SECONDS_BETWEEN:g} seconds",
        "more than {textgen_train.loop.checkpoint_file.MAX_FRACTION:.0%} of the time",
        "take about {textgen_train.loop.eval_schedule.MAX_EVALUATION_FRACTION:.0%} of the time at most",
        "up to {textgen_train.loop.eval_schedule.MAX_FRACTION_IN_FEW:.0%} in a run",
        "in parts of {textgen_train.loop.classic_setup.MAX_SHUFFLED_BATCHES:,} batches",
    ],
    "docs/javascript.md": [
        "after at most about {runtime/web/lib/generation.SLICE} ms",
        "by default {runtime/web/lib/model.DEFAULT_LENGTH}, or",
        "or {runtime/web/lib/model.DEFAULT_RECORD_LENGTH:,} for a model of records",
    ],
    "docs/web-page.md": [
        "at most {runtime/web/page/link.MAX_LENGTH:,} tokens",
        "slices of at most {runtime/web/page/pace.MAX_WORK} ms",
        "with {textgen_runtime.web.known_records.BITS_PER_RECORD} bits for each record",
    ],
}


def read(page: str) -> str:
    """Return the text of a page in one line."""
    return " ".join((ROOT / page).read_text(encoding="utf-8").split())


def states(text: str, part: str) -> bool:
    """Return whether a text has a part that neither begins nor ends within a number."""
    return re.search(rf"(?<!\d)(?<!\d[.,]){re.escape(part)}(?!\d|[.,]\d)", text) is not None


def value_of(name: str) -> Any:
    """Return the value of a name in braces."""
    module, _, constant = name.rpartition(".")
    if "/" not in module:
        return resolve_name(name)
    script = (ROOT / f"{module}.js").read_text(encoding="utf-8")
    (value,) = re.findall(rf"const {constant} = ([\d_]+);", script)
    return int(value)


@pytest.mark.parametrize(
    ("page", "stated"), [(page, stated) for page, parts in STATED.items() for stated in parts]
)
def test_a_page_states_the_value_of_the_code(page: str, stated: str) -> None:
    expected = re.sub(r"{([\w./]+):?([^}]*)}", lambda found: format(value_of(found[1]), found[2]), stated)
    assert states(read(page), expected)


@pytest.mark.parametrize("longer", ["15", "55", "0.5", "5.0", "1,5", "5,000"])
def test_a_part_of_a_number_is_another_value(longer: str) -> None:
    assert states("5. 5 bytes", "5 bytes")
    assert states("at most 5.", "at most 5")
    assert not states(f"{longer} bytes", "5 bytes")
    assert not states(f"at most {longer}", "at most 5")


@pytest.mark.parametrize(
    ("page", "stated"),
    [
        ("docs/c.md", "a temperature of {:g}, and no filter"),
        ("docs/generating.md", "The default is {:g}. Above"),
        ("docs/serving.md", "and not {:g} as in the other parts"),
        ("docs/tutorial.md", "than the default of {:g}. For names with"),
        ("docs/tutorial-c.md", "so the temperature is {:g}. Names"),
        ("docs/web-page.md", "the slider, which begins at {:g}: the bars"),
        ("docs/temperature.md", "likely characters become more likely. The default is {:g}."),
        ("runtime/textgen_runtime/sampling.py", "Without options, the temperature is {:g}, and"),
    ],
)
def test_a_page_states_the_default_temperature(page: str, stated: str) -> None:
    assert states(read(page), stated.format(textgen.PARAMETERS["temperature"].default))


def parameters_of(recipe: Recipe) -> int:
    """Return the number of parameters for the vocabulary of the bundled model of Nietzsche."""
    names = ("units", "layers", "embedding", "residual")
    symbols = len(textgen.load("nietzsche").tokenizer)
    return CELLS[recipe.cell](symbols, **{name: getattr(recipe, name) for name in names}).parameter_count


def megabytes_of(recipe: Recipe) -> float:
    """Return the size of the model file. What it has besides its weights hardly depends on the preset."""
    weights: int = textgen.load("nietzsche-float32").training["parameters"]
    rest = (BUNDLED / "nietzsche-float32.onnx").stat().st_size - 4 * weights
    return (4 * parameters_of(recipe) + rest) / 1e6


def is_rounded(stated: str, value: float) -> bool:
    """Return whether a decimal number is a value, rounded to its digits."""
    return float(stated) == round(value, len(stated.partition(".")[2]))


@pytest.mark.parametrize("name", PRESETS)
def test_the_sizes_of_a_preset_are_those_of_its_network(name: str) -> None:
    recipe = PRESETS[name]
    row = next(row for row in preset_table("suitable for") if f"`{name}`" in row[0])
    assert row[1] == f"{('no', 'one', 'two', 'three')[recipe.layers]} of {recipe.units} units"
    assert row[3] == f"{parameters_of(recipe):,}"
    readme = re.findall(rf"\| `--preset {name}` \| ([\d.]+) MB \|", read("README.md"))
    for stated in (row[4].removesuffix(" MB"), *readme):
        assert is_rounded(stated, megabytes_of(recipe))


def test_the_message_of_an_update_has_the_gradients_of_a_preset() -> None:
    ((small, large),) = re.findall(
        r"([\d.]+) MB with the preset `small`, ([\d.]+) MB with `large`", read("docs/cluster.md")
    )
    assert is_rounded(small, 4 * parameters_of(PRESETS["small"]) / 1e6)
    assert is_rounded(large, 4 * parameters_of(PRESETS["large"]) / 1e6)


def test_the_reference_of_training_names_the_layers_for_large_vocabularies() -> None:
    small, medium = (preset(name, LARGE_VOCABULARY) for name in ("small", "medium"))
    assert (small.layers, medium.layers) == (1, 1)
    stated = f"`small` has one layer of {small.units} units there, and `medium` one of {medium.units}."
    assert stated in read("docs/training-reference.md")


def preset_table(heading: str) -> list[list[str]]:
    """Return the rows of the table of presets with this heading of a column."""
    text = (ROOT / "docs/training-reference.md").read_text(encoding="utf-8").partition("\n## Presets\n")[2]
    table = next(part for part in text.split("\n\n") if part.startswith("|") and heading in part)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_the_documentation_has_the_table_of_the_presets() -> None:
    text = (ROOT / "docs" / "training-reference.md").read_text(encoding="utf-8")
    assert "\n".join(map(table_row, CHOICES)) in text


def table_row(choice: Choice) -> str:
    """Return the row of the table in docs/training-reference.md."""
    recipe, epochs = choice.recipe, choice.max_epochs
    rows = [row for row in CHOICES if row[:2] == choice[:2]]
    dropped = (recipe.dropout, recipe.input_dropout, recipe.weight_dropout)
    cells = [
        f"`{choice.preset}`",
        "large" if choice.is_large_vocabulary else "small",
        f"at most {epochs:,}" if epochs < math.inf else "any" if len(rows) == 1 else "more",
        *(f"{share:.0%}" if share else "none" for share in dropped),
        *(
            f"{weight:g}" if weight else "none"
            for weight in (recipe.activation_penalty, recipe.confidence_penalty)
        ),
    ]
    return f"| {' | '.join(cells)} |"


@pytest.mark.parametrize(
    "figure",
    sorted(
        {
            *re.findall(r"\b\d\.\d{3,4}\b", read("docs/which-preset.md")),
            *re.findall(r"\b\d\.\d{4}\b", read("docs/how-much-text.md")),
        }
    ),
)
def test_the_pages_of_decisions_have_only_measured_losses(figure: str) -> None:
    measured = ("results", "gallery", "experiments", "experiments-archive")
    assert any(states(read(f"docs/{page}.md"), figure) for page in measured)


def test_the_page_about_presets_states_the_measured_speeds() -> None:
    page, (small, large) = read("docs/which-preset.md"), speeds("small, 100 epochs", "large, 20 min")
    assert states(page, f"`small` generates {small[0]} characters per second and `large` {large[0]}.")
    assert states(page, f"they generate {small[1]} and {large[1]}.")


def speeds(*runs: str) -> list[list[str]]:
    """Return the characters per second of presets in docs/results.md, with float32 and with 8-bit weights."""
    lines = (ROOT / "docs/results.md").read_text(encoding="utf-8").splitlines()
    return [next(line for line in lines if line.startswith(f"  {run} ")).split()[-2:] for run in runs]


def test_the_page_about_control_states_the_numbers_of_results() -> None:
    page = read("docs/control.md")
    assert signature(textgen.Generation.top).parameters["count"].default == 10
    assert "`top` returns ten tokens if no number is given." in page
