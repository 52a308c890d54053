# make demo    train for a minute and read what the model writes
# make test    run the whole test suite
# make test-core   build the C core with gcc and clang, under sanitizers and for other systems, and test it
# make lint    check format, style and types
# make docs    build the documentation site in build/docs
#
# make nietzsche, quality, budgets, threads, bench, peers, fuzz, interrupts, sanitize, images: see CONTRIBUTING.md.
#
# Each builds what it needs in .venv, from nothing.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(wildcard runtime/textgen_runtime/*/*.pyx runtime/textgen_runtime/*/*.pxd \
	$(addprefix runtime/core/,*.c *.h kernels/*.c kernels/*.h))
CORE := $(wildcard runtime/core/*.c runtime/core/kernels/*.c)
C_FILES := $(wildcard $(addsuffix /*.[ch],runtime/core runtime/core/kernels examples tests/core benchmarks))
BUILD_INPUTS := pyproject.toml setup.py MANIFEST.in $(SOURCES)
DEMO := demo
BUNDLED := runtime/textgen_runtime/bundled_models
SANITIZED := build/sanitized
CHECKS := -fsanitize=address,undefined -fno-sanitize-recover=all -g

.PHONY: demo test test-core lint format nietzsche quality budgets threads bench peers fuzz interrupts sanitize images clean

demo: $(VENV)/train.installed
	$(BIN)/textgen-train python-docs --minutes 1 --no-samples --output $(DEMO) --overwrite
	$(BIN)/textgen-run $(DEMO)/model.onnx --prompt "The " --temp 0.2 0.5 1.0 1.2 --stats

test: $(VENV)/dev.installed
	$(BIN)/python -m pytest

# clang comes from a package of PyPI, which also has what other systems' compilers need.
CLANG := $(CURDIR)/$(BIN)/python -m ziglang cc

test-core: $(VENV)/dev.installed $(VENV)/clang.installed
	TEXTGEN_CORE_COMPILERS="gcc,$(CLANG)" $(BIN)/python -m pytest tests/core

lint: $(VENV)/dev.installed
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $(C_FILES)
	$(BIN)/ruff check .
	# It calls another of its tools by name.
	PATH="$(CURDIR)/$(BIN):$$PATH" cython-lint runtime
	$(BIN)/mypy

format: $(VENV)/dev.installed
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(C_FILES)
	$(BIN)/ruff check --fix .

.PHONY: docs docs-links

# Warnings are errors. Unchanged pages are read again, because their warnings would be lost otherwise.
docs: $(VENV)/docs.installed
	rm -rf build/docs
	$(BIN)/sphinx-build --quiet --fresh-env --fail-on-warning --keep-going docs build/docs

# Follows links to other hosts, so that it depends on the network.
docs-links: $(VENV)/docs.installed
	$(BIN)/sphinx-build --quiet --fresh-env --builder linkcheck docs build/docs-links

# The bundled model.
nietzsche: $(VENV)/train.installed
	$(BIN)/textgen-train nietzsche --lowercase --preset small --minutes 10 --output build/nietzsche --overwrite
	mkdir -p $(BUNDLED)
	cp build/nietzsche/model.onnx $(BUNDLED)/nietzsche.onnx

quality: $(VENV)/dev.installed
	$(BIN)/python -m benchmarks.quality.table

budgets: $(VENV)/dev.installed
	$(BIN)/python benchmarks/budgets.py

threads: $(VENV)/dev.installed
	$(BIN)/python benchmarks/training_threads.py

bench: $(VENV)/dev.installed
	$(BIN)/textgen-bench nietzsche

peers: $(VENV)/dev.installed
	$(BIN)/python benchmarks/peers/run.py nietzsche

fuzz: $(VENV)/dev.installed
	mkdir -p build
	$(CC) -std=c11 -O1 $(CHECKS) -Iruntime/core benchmarks/fuzz_*.c $(CORE) -o build/fuzz_core
	build/fuzz_core tests/data/tiny.onnx 1000000
	for reader in auto checked saved onnxruntime; do \
		$(BIN)/python benchmarks/mutate_models.py tests/data/tiny.onnx --count 250000 --reader $$reader || exit 1; \
	done

interrupts: $(VENV)/dev.installed
	$(BIN)/python benchmarks/interrupts.py

# The pictures of the README; the screenshots need Chromium.
images: $(VENV)/dev.installed
	$(BIN)/python docs/images/make_images.py

# The extensions built with address and undefined-behaviour checks, in a folder of their own, and their tests.
# Python itself does not free everything at exit, so leaks are not looked for.
sanitize: $(VENV)/dev.installed
	CFLAGS="$(CHECKS)" LDFLAGS="$(CHECKS)" $(BIN)/python setup.py --quiet build --force \
		--build-lib $(SANITIZED) --build-temp $(SANITIZED)-objects
	LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) $$($(CC) -print-file-name=libubsan.so)" \
		ASAN_OPTIONS=detect_leaks=0 PYTHONPATH=$(SANITIZED) $(BIN)/python -m pytest -p no:cacheprovider \
		tests/runtime/sampling tests/runtime/engines tests/runtime/generation/test_generation.py

clean:
	rm -rf $(VENV) build dist $(DEMO) .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -f runtime/textgen_runtime/*/*.so

$(VENV)/train.installed: $(BUILD_INPUTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --editable ".[train]"
	touch $@

$(VENV)/clang.installed: $(VENV)/dev.installed
	$(BIN)/python -m pip install --quiet "ziglang>=0.13"
	touch $@

# The package is installed already: this adds what the extra names, and builds nothing.
$(VENV)/docs.installed: $(VENV)/train.installed
	$(BIN)/python -m pip install --quiet "textgen-onnx[docs]"
	touch $@

$(VENV)/dev.installed: $(BUILD_INPUTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[train,dev]"
	touch $@ $(VENV)/train.installed
