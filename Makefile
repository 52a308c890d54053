# make demo    train for a minute and read what the model writes
# make test    run the whole test suite
# make lint    check format, style and types
#
# Each builds what it needs in .venv, from nothing.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BUILD_INPUTS := pyproject.toml setup.py MANIFEST.in $(wildcard runtime/textgen_runtime/*.pyx runtime/textgen_runtime/*.pxd)
DEMO := demo

.PHONY: demo test lint format budgets clean

demo: $(VENV)/train.installed
	$(BIN)/textgen-train python-docs --minutes 1 --no-samples --output $(DEMO) --overwrite
	$(BIN)/textgen-run $(DEMO)/model.onnx --temp 0.2 0.5 1.0 1.2 --stats

test: $(VENV)/dev.installed
	$(BIN)/python -m pytest

lint: $(VENV)/dev.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	# It calls another of its tools by name.
	PATH="$(CURDIR)/$(BIN):$$PATH" cython-lint runtime
	$(BIN)/mypy

format: $(VENV)/dev.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

budgets: $(VENV)/dev.installed
	$(BIN)/python benchmarks/budgets.py

clean:
	rm -rf $(VENV) build dist $(DEMO) .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -f runtime/textgen_runtime/*.so

$(VENV)/train.installed: $(BUILD_INPUTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --editable ".[train]"
	touch $@

$(VENV)/dev.installed: $(BUILD_INPUTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[train,dev]"
	touch $@ $(VENV)/train.installed
