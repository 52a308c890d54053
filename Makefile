# CONTRIBUTING.md describes the targets. Each creates the environment that it needs in .venv.
# TIER=push or TIER=release add the tests of later tiers to those of TIER=commit.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Exists if the tools are installed, and the extensions are built from the present sources.
DEV := $(VENV)/dev.built
# Most modules of a package are never imported. Python compiles the others at their first import.
PIP_INSTALL := $(BIN)/python -m pip install --quiet --no-compile
TORCH := $(VENV)/torch.installed
SOURCES := $(wildcard $(foreach package,runtime/textgen_runtime train/textgen_train,$(addprefix $(package)/*.,pyx pxd)) \
	$(addprefix runtime/core/,*.c *.h *.def kernels/*.c kernels/*.h) $(addprefix train/core/,*.c *.h *.def))
C_FILES := $(shell git ls-files --cached --others --exclude-standard "*.[ch]")
BUILD_INPUTS := pyproject.toml setup.py MANIFEST.in $(SOURCES)
BUNDLED := runtime/textgen_runtime/bundled_models
SANITIZED := build/sanitized
BENCHMARKS := budgets interrupts kills peers quality serving soak training
# Programs of Debian that are missing are installed, as root.
needs = { command -v $(1) > /dev/null || (apt-get update && apt-get install --yes --no-install-recommends $(2)); }
# The browser of the tests.
export CHROMIUM ?= $(shell command -v chromium || command -v google-chrome || echo /usr/bin/chromium)
CHECKS := -fsanitize=address,undefined -fno-sanitize-recover=all -g

.PHONY: $(BENCHMARKS) clean core demo docs format fuzz install lint models mutants release-check sanitize size test \
	test-all test-arm test-core test-emulated test-torch test-web test-wine try-npm web wheels

demo: $(DEV)
	$(BIN)/textgen-train python-docs --minutes 1 --no-samples --output demo --overwrite
	$(BIN)/textgen-run demo/model.onnx --prompt "The " --temp 0.2 0.5 1.0 1.2 --stats

TIER ?= commit
export TEXTGEN_TEST_TIER := $(TIER)
# A process for each core. More than eight would mostly import packages. With worksteal, each process gets a part of the
# files at the start, so that only some of them import torch. A process that is done takes tests of another. Containers
# often turn the cache of compiled modules off. Each process of a test would then compile all that it imports.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses=logical --maxprocesses=8 --dist=worksteal

# The tests that need torch, which is large.
TORCH_TESTS := tests/benchmarks tests/project/test_notebook.py tests/train/core/test_gradients.py \
	tests/train/core/test_run.py tests/train/test_export_torch.py tests/train/test_learner_torch.py

test: $(DEV)
	$(PYTEST) $(addprefix --ignore=,$(TORCH_TESTS))

test-torch: $(TORCH)
	$(PYTEST) $(TORCH_TESTS)

# Each target builds with other compilers and flags, so that nothing is tested twice.
test-all:
	$(MAKE) lint
	$(MAKE) test test-torch test-core test-arm test-emulated test-wine test-web docs TIER=release
	$(MAKE) try-npm sanitize fuzz interrupts kills mutants

# clang comes from ziglang, a package on PyPI that also contains headers and libraries of other systems. Its
# version determines the bytes of the WebAssembly modules.
CLANG := $(CURDIR)/$(BIN)/python -m ziglang cc

test-core: $(DEV) $(VENV)/clang.installed
	TEXTGEN_CORE_COMPILERS="gcc,$(CLANG)" $(PYTEST) tests/core $(TRAINER_TEST)

# The C library needs neither Python nor .venv.
CORE_BUILD := $(CURDIR)/build/core

core:
	$(MAKE) --directory=runtime/core BUILD=$(CORE_BUILD)

install:
	$(MAKE) --directory=runtime/core install BUILD=$(CORE_BUILD)

size:
	@$(PYTHON) release/size.py

# Tests of the core for another system: a target of the compiler and an emulator. Those of the kernels depend most on
# the processor.
test_emulated = TEXTGEN_CORE_COMPILERS="$(CLANG) -target $(1)" TEXTGEN_CORE_EMULATOR="$(2)" $(PYTEST)
TRAINER_TEST := tests/train/core/test_command.py::test_the_model_is_the_same_with_all_compilers_and_on_all_processors
KERNEL_TESTS := $(TRAINER_TEST) $(addprefix tests/core/test_core,.py _networks.py \
	_builds.py::test_numbers_are_the_same_to_the_last_bit _embedding.py::test_a_plain_compiler_compiles_the_files)
CORE_TESTS := $(KERNEL_TESTS) $(addprefix tests/core/test_core,_fuzz.py _metadata.py _reader.py)

test-arm: $(DEV) $(VENV)/clang.installed
	$(call needs,qemu-aarch64,qemu-user)
	$(call test_emulated,aarch64-linux-musl,qemu-aarch64) $(KERNEL_TESTS)

# Big-endian, and 32 bits.
test-emulated: $(DEV) $(VENV)/clang.installed
	$(call needs,qemu-s390x,qemu-user)
	$(call test_emulated,s390x-linux-musl,qemu-s390x) $(CORE_TESTS)
	$(call test_emulated,arm-linux-musleabihf,qemu-arm) $(CORE_TESTS)

# The folder of settings of wine is made before the tests, which run at the same time. Without its drivers of windows,
# it needs no display. Its server and services, which take longer than a test to start, stay for a minute after the
# last program. They would keep the pipes of a test open that started them.
WINE := $(CURDIR)/build/wine
WINE_SETTINGS := WINEPREFIX=$(WINE) WINEDEBUG=-all WINEDLLOVERRIDES="winewayland.drv,winex11.drv="

test-wine: $(DEV) $(VENV)/clang.installed
	mkdir -p $(WINE)
	$(call needs,wine,wine wine64)
	$(WINE_SETTINGS) wine cmd /c exit < /dev/null > $(WINE)/log 2>&1 && $(WINE_SETTINGS) wineserver -w
	$(WINE_SETTINGS) wineserver -p60 > $(WINE)/log 2>&1 && $(WINE_SETTINGS) wine cmd /c exit < /dev/null > $(WINE)/log 2>&1
	$(WINE_SETTINGS) $(call test_emulated,x86_64-windows-gnu,wine) $(CORE_TESTS) tests/core/test_core_command.py

wheels: $(VENV)/release.installed $(VENV)/clang.installed
	$(BIN)/python -m release.wheels

# zizmor asks no server. It checks that each action is pinned, and that each job has only the permissions it needs.
release-check: docs wheels
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/zizmor --quiet --offline .github/workflows
	$(BIN)/python -m release.check

WEB := runtime/web
WEB_TOOLS := tests/web/node_modules
WEB_TEST := build/web-test
BUILD_WEB := $(BIN)/python $(WEB)/build.py

web: $(VENV)/clang.installed $(WEB_TOOLS)/installed
	$(BUILD_WEB)

# The modules and the page in the repository must be what their sources give. They are built while the rest is
# prepared. More files are tested at a time than there are processors, because tests of the page wait for a text
# that streams.
test-web: $(DEV) $(VENV)/clang.installed $(WEB_TOOLS)/installed
	mkdir -p $(WEB_TEST)
	$(BUILD_WEB) --output $(WEB_TEST) & \
	{ $(WEB_TOOLS)/.bin/tsc --project tests/web && $(BIN)/python -m tests.helpers.web_cases $(WEB_TEST) && \
		$(call needs,$(CHROMIUM),chromium); }; \
	status=$$?; wait $$! && exit $$status
	for file in textgen.wasm wasm.js textgen-relaxed.wasm wasm-relaxed.js trainer.wasm trainer-relaxed.wasm learner.js; do \
		cmp $(WEB)/$$file $(WEB_TEST)/$$file || exit 1; \
	done
	cmp runtime/textgen_runtime/web/textgen.html $(WEB_TEST)/textgen.html
	TEXTGEN_PYTHON=$(BIN)/python node --test --test-concurrency=4 tests/web/*.test.mjs

# Unlike the other tests, these download programs, in their latest versions. They print the versions.
try-npm: $(WEB_TOOLS)/installed
	$(call needs,$(CHROMIUM),chromium)
	node --test tests/web/npm/*.test.mjs

mutants: $(TORCH) $(WEB_TOOLS)/installed
	mkdir -p $(WEB_TEST) && $(BIN)/python -m tests.helpers.web_cases $(WEB_TEST) && $(call needs,$(CHROMIUM),chromium)
	$(BIN)/python -m tests.mutants --meaning
	$(BIN)/python -m tests.mutants

lint: $(TORCH)
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $(C_FILES)
	$(BIN)/ruff check .
	$(BIN)/python runtime/definitions.py --check
	$(BIN)/python release/size.py
	# cython-lint runs a second tool of .venv, which must be in PATH.
	PATH="$(CURDIR)/$(BIN):$$PATH" cython-lint runtime train
	$(BIN)/mypy

format: $(DEV)
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(C_FILES)
	$(BIN)/ruff check --fix .

# Warnings are errors. --fresh-env repeats the warnings of unchanged pages.
docs: $(VENV)/docs.installed $(WEB_TOOLS)/installed
	rm -rf build/docs
	$(BIN)/sphinx-build --quiet --fresh-env --fail-on-warning --keep-going docs build/docs

# The bundled models, and their samples in the documentation. docs/gallery.md states where the texts come from that have
# no address: ONEGIN is the path of Eugene Onegin, and TUNES is the path of the tunes.
MODELS := build/models
TRAIN := $(BIN)/textgen-train --no-samples --overwrite
SMALL := $(TRAIN) --precision auto --quantize

# A small model of a text, with a larger one as its teacher: name, text and options, minutes of the teacher, epochs.
define model
	$(TRAIN) $(2) --minutes $(3) --output $(MODELS)-teachers/$(1)
	$(SMALL) $(2) --teacher $(MODELS)-teachers/$(1) --epochs $(4) --output $(MODELS)/$(1)
	cp $(MODELS)/$(1)/model.int8.onnx $(BUNDLED)/$(1).onnx
endef

models: $(DEV)
	@[ -f "$(ONEGIN)" ] && [ -f "$(TUNES)" ] || \
		{ echo "make models needs two texts, see docs/gallery.md: make models ONEGIN=path TUNES=path" >&2; exit 1; }
	$(call model,names,names --records lines,5,200)
	$(call model,onegin,"$(ONEGIN)",20,300)
	$(call model,shakespeare,tinyshakespeare,20,150)
	$(call model,nietzsche,nietzsche --lowercase,20,500)
	$(call model,tunes,"$(TUNES)" --records blank,5,200)
	cp $(MODELS)/nietzsche/model.onnx $(BUNDLED)/nietzsche-float32.onnx
	$(BIN)/python docs/write_outputs.py

# The options of a benchmark: make quality OPTIONS="--runs small:1".
$(BENCHMARKS): $(TORCH)
	$(BIN)/python -m benchmarks.$@ $(OPTIONS)

soak training: core

# libFuzzer is part of Debian's package clang. The clang from PyPI lacks it. Without the feedback of comparisons, an
# execution takes 0.7 of the time, and the fuzzer reaches more code in the same time.
FUZZ := build/fuzz
FUZZ_CLANG ?= $(shell command -v clang || command -v clang-14 || echo clang)
FUZZ_SOURCES := $(filter-out %/replay.c,$(wildcard $(addsuffix /*.c,tests/core/fuzz runtime/core runtime/core/kernels train/core)))
FUZZ_RUNS ?= 2500000

$(FUZZ)/fuzz: $(FUZZ_SOURCES) $(SOURCES) tests/core/fuzz/fuzz.h tests/core/fuzz/ignored.txt
	mkdir -p $(FUZZ)
	$(call needs,$(FUZZ_CLANG),clang)
	$(FUZZ_CLANG) -std=c11 -O2 -gline-tables-only -Iruntime/core -Itrain/core -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -fno-sanitize-coverage=trace-cmp -fsanitize-ignorelist=tests/core/fuzz/ignored.txt \
		-fsanitize-coverage-ignorelist=tests/core/fuzz/ignored.txt $(FUZZ_SOURCES) -lm -o $@

# New inputs that reach other code stay in build/fuzz/inputs, and the next run begins with them, too.
fuzz: $(DEV) $(FUZZ)/fuzz
	$(BIN)/python -m tests.core.fuzz.seeds $(FUZZ)/seeds
	mkdir -p $(FUZZ)/inputs
	$(FUZZ)/fuzz -runs=$(FUZZ_RUNS) -seed=1 -timeout=60 -rss_limit_mb=4096 -artifact_prefix=$(FUZZ)/ $(FUZZ)/inputs $(FUZZ)/seeds
	for reader in native onnxruntime saved; do \
		$(BIN)/python -m benchmarks.mutate_models tests/data/tiny.onnx --count 250000 --reader $$reader || exit 1; \
	done

# Build the extensions with address and undefined-behavior sanitizers in a separate folder, and test them.
# Leak detection is off, because Python does not free all memory at exit. So is the search for uses of the stack
# after a return: for it, gcc 12 puts vectors of AVX-512 at addresses that the processor refuses.
sanitize: $(DEV)
	CFLAGS="$(CHECKS)" LDFLAGS="$(CHECKS)" $(BIN)/python setup.py --quiet build --force \
		--build-lib $(SANITIZED) --build-temp $(SANITIZED)-objects
	LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) $$($(CC) -print-file-name=libubsan.so)" \
		ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0 PYTHONPATH=$(SANITIZED) $(BIN)/python -m pytest -p no:cacheprovider \
		tests/runtime/sampling tests/runtime/engines tests/runtime/generation/test_generation.py \
		tests/train/test_core_binding.py --deselect=tests/train/test_core_binding.py::test_a_lack_of_memory_is_a_memory_error

clean:
	rm -rf $(VENV) $(WEB_TOOLS) build dist demo .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -f runtime/textgen_runtime/*.so train/textgen_train/*.so

$(VENV)/clang.installed: | $(VENV)/dev.installed
	$(PIP_INSTALL) "ziglang==0.17.1"
	touch $@

$(WEB_TOOLS)/installed: tests/web/package.json
	@command -v npm >/dev/null || { echo "make needs Node and npm for the JavaScript package: install them" >&2; exit 1; }
	npm install --prefix tests/web --no-package-lock --no-audit --no-fund --ignore-scripts
	touch $@

# The package is already installed. This installs only the requirements of the extra.
$(VENV)/docs.installed $(VENV)/release.installed: $(VENV)/%.installed: | $(DEV)
	$(PIP_INSTALL) "textgen-onnx[$*]"
	touch $@

# On Linux, the usual build of torch is for GPUs, and has gigabytes. The index may also have one for CPUs.
$(TORCH): pyproject.toml | $(DEV)
	@version=$$($(BIN)/python -m pip index versions torch 2> /dev/null | grep -o "2\.[0-9.]*+cpu" | head -n 1); \
		echo "installing the build of torch $${version:-that pip chooses, because no build that is only for CPUs was found}"; \
		$(PIP_INSTALL) "textgen-onnx[torch]" $${version:+torch==$$version}
	touch $@

# Two runs of make in one checkout do not build at the same time, where there is flock.
LOCKED := mkdir -p build && $(if $(shell command -v flock),flock build/lock)

# pip builds all extensions in a temporary folder. After a change of the sources, setup.py builds what changed.
$(VENV)/dev.installed: pyproject.toml
	$(LOCKED) $(PYTHON) -m venv $(VENV)
	$(LOCKED) $(PIP_INSTALL) --editable ".[serve,dev]"
	@touch $@ $(DEV)

$(DEV): $(BUILD_INPUTS) | $(VENV)/dev.installed
	@[ -e $@ ] && [ -z "$$(find $(BUILD_INPUTS) -newer $@)" ] || \
		{ echo "compiling the C core" && $(LOCKED) $(BIN)/python setup.py --quiet build_ext --inplace; }
	@touch $@
