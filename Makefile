# Targets: demo, docs, test, test-quick, test-kill, test-faults, test-fuzz, test-image,
# test-sites, lint, bench, clean.
# They need Python >= 3.11, git and make; everything else goes into .venv. Another
# interpreter: make PYTHON=python3.12 test

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Where test-image keeps what it gets and builds, and what the image starts from
IMAGE := .image
IMAGE_BASE := debian
# -qq: errors only
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
MODULES := $(shell find bkgpipe -name '*.py')
# Directories as well: they are newer when a file is gone.
SOURCES := $(MODULES) $(shell find bkgpipe -name '*.html') \
	$(shell find bkgpipe -type d -not -name __pycache__) \
	setup.cfg pyproject.toml README.md LICENSE
# All but those that need an environment with BAccMod, or batch systems
BENCHMARKS := $(filter-out %/bench_rivals.py %/bench_sites.py,$(sort $(wildcard benchmarks/bench_*.py)))

.PHONY: demo docs test test-quick test-kill test-faults test-fuzz test-image test-sites
.PHONY: lint bench clean

demo: $(VENV)/.installed
	$(BIN)/bkgpipe demo

# Warnings are errors: missing pages, links and anchors within the documentation too.
# -a -E: what is included elsewhere is read again
docs: $(VENV)/.installed-docs
	$(BIN)/sphinx-build -W --keep-going -q -a -E -b html docs docs/_build/html

# From the root, but on the installed package: the source tree is not on sys.path.
# worksteal: tests of one file stay together, so that what they share is made once
test: lint
	$(BIN)/pytest -n 2 --dist worksteal

# What a change of a formula, a setting or a file format breaks first: a minute
test-quick: $(VENV)/.installed-test
	$(BIN)/pytest -n 2 tests/core tests/geometry tests/stages tests/settings tests/store tests/product \
		tests/test_examples.py

# Productions killed at random moments, 50 with a scheduler of their own and 50 with luigid,
# 50 each ended by SIGINT and SIGTERM, and 50 with a process that is stopped
test-kill: $(VENV)/.installed-test
	BKGPIPE_KILLS=50 $(BIN)/pytest -n 2 tests/cli/test_kill_random.py

# Calls to the system that fail, power that is cut, bits that are flipped; prints what
# became of each. Needs Linux and a C compiler.
test-faults: $(VENV)/.installed-test
	BKGPIPE_FAULTS=1 $(BIN)/pytest --log-cli-level=INFO tests/faults

# Files spoilt at random, in other processes; tells what became of them
test-fuzz: $(VENV)/.installed-test
	BKGPIPE_FUZZ=2000 $(BIN)/pytest --log-cli-level=INFO tests/store/test_fuzz.py

# The Apptainer image, built and tried; as root on Debian bookworm, or where Apptainer is
test-image: $(VENV)/.installed-test
	command -v apptainer >/dev/null || tests/containers/get_apptainer.sh $(IMAGE)/apptainer
	PATH="$(abspath $(IMAGE))/apptainer/usr/bin:$$PATH"; export PATH; \
	export BKGPIPE_BUILD_DIR=$(abspath $(IMAGE)) BKGPIPE_IMAGE=$(abspath $(IMAGE))/bkgpipe.sif; \
	BKGPIPE_BASE=$(IMAGE_BASE) PYTHON=$(abspath $(BIN))/python \
		containers/build.sh $(IMAGE)/bkgpipe.sif --fakeroot && \
	$(BIN)/pytest tests/containers

# Productions on a real Slurm and a real HTCondor, started here; as root on Debian
# bookworm. With jobs in the image too where test-image has built it.
test-sites: $(VENV)/.installed-test
	PATH="$(abspath $(IMAGE))/apptainer/usr/bin:$$PATH"; export PATH; \
	if [ -e $(IMAGE)/bkgpipe.sif ]; then \
		export BKGPIPE_IMAGE=$(abspath $(IMAGE))/bkgpipe.sif; \
		export BKGPIPE_SITES_PATHS="$(abspath $(IMAGE))"; fi; \
	PATH="$(abspath $(BIN)):$$PATH" tests/sites/with_sites.sh pytest tests/sites

lint: $(VENV)/.installed-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/numpydoc lint $(MODULES)
	$(BIN)/python tests/helpers/sizes.py bkgpipe

bench: $(VENV)/.installed
	set -e; for script in $(BENCHMARKS); do $(BIN)/python $$script; done

clean:
	rm -rf $(VENV) $(IMAGE) build dist *.egg-info bkgpipe-demo docs/_build
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find bkgpipe tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp exists when its environment is whole and as new as the sources.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "bkgpipe needs Python 3.11 or newer; '$(PYTHON)' is" \
			"$$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

# Leftovers in build/ would be packed into the wheel, removed modules included.
$(VENV)/.installed: $(VENV)/.made $(SOURCES)
	@rm -rf build
	$(PIP) install .
	@rm -rf build
	@touch $@

$(VENV)/.installed-test: $(VENV)/.made $(SOURCES)
	@rm -rf build
	$(PIP) install '.[test]'
	@rm -rf build
	@touch $(VENV)/.installed $@

$(VENV)/.installed-docs: $(VENV)/.made $(SOURCES)
	@rm -rf build
	$(PIP) install '.[docs]'
	@rm -rf build
	@touch $(VENV)/.installed $@
