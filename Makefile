# Everything sets itself up: `make demo` and `make test` need Python 3.10 to 3.12 and make, nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := work_dirs/demo
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo dist test detection test-detection test-wheel test-slurm test-pythons lint docs format clean-demo clean

help:  ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(READY)  ## Make .venv with everything that is needed

$(READY): pyproject.toml constraints.txt tools/setup_venv.sh tools/keep_headless_opencv.sh
	bash tools/setup_venv.sh $(VENV)
	touch $@

demo: $(READY)  ## Phantom slides: Teacher, distillation, Student, table and picture (minutes); again: shows the results
	$(BIN)/mitouts synthesize phantom --out data/phantom --noise 0.3
	$(BIN)/mitouts train uts/uts_lite0 --data phantom --work-dir $(DEMO) --resume

dist: $(READY)  ## Wheel and source distribution in dist/
	rm -rf dist
	$(BIN)/python -m build --outdir dist

test: $(READY)  ## All tests but those below (installs Debian's chromium for those in a browser, where it may)
	bash tools/setup_browser.sh
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal --durations 10 --ignore=tests/detection --ignore=tests/slurm
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --doctest-modules mitouts

detection: $(READY)  ## What the detection baselines need: mmdetection; compiles once a machine (10 to 30 minutes)
	bash tools/setup_detection.sh $(VENV)

test-detection: $(READY)  ## Tests of the detection baselines
	@$(BIN)/python -c 'import mmcv.ops, mmdet' 2>/dev/null || \
	  { echo 'error: mmdetection or the compiled operations of mmcv are missing; run: make detection' >&2; exit 2; }
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal --durations 10 tests/detection

test-wheel: $(READY)  ## The wheel in an environment with its dependencies alone: every module is imported, and a phantom trained
	bash tools/test_wheel.sh $(BIN)/python

test-slurm: $(READY)  ## Tests under a Slurm of one node (root; installs Debian's slurm-wlm and munge, where it may)
	bash tools/setup_slurm.sh
	OMP_NUM_THREADS=1 timeout --foreground --signal INT --kill-after 60 900 \
	  $(BIN)/python -m pytest --durations 10 tests/slurm

test-pythons:  ## All tests on Python 3.10 and 3.12, where installed, in .venv-3.10 and .venv-3.12
	bash tools/test_pythons.sh

lint: $(READY) docs  ## Formatter, linter, type checker, who may import whom, and the documentation's site
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(READY)  ## The documentation's site, into site/; a broken link or reference fails
	@if [ -x $(BIN)/zensical ]; then $(BIN)/zensical build --strict --clean; \
	  else echo 'the site was not built: zensical needs Python 3.11 or later'; fi

format: $(READY)  ## Format and fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean-demo:  ## Forget the demo's data and results
	rm -rf $(DEMO) data/phantom

clean: clean-demo  ## Forget the environment too
	rm -rf $(VENV) .venv-3.10 .venv-3.12 site .cache .mypy_cache .ruff_cache .pytest_cache
