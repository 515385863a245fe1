# `make train` and `make test` need Python 3.11 to 3.13, make and a package index; nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV ?= uv==0.13.9

.PHONY: help train test check bench bench-quick bench-peers tensorboard lock clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 14

train: $(READY)  ## train on the embedded MNIST, draw samples, export the generator
	$(BIN)/python -m keras_gan.train --dataset=mnist

test: check  ## lint, types and every test
	$(BIN)/python -m pytest

check: $(READY)  ## lint, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)  ## race the step and time commands; writes benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks.results

bench-quick: $(READY)  ## the step beside plain Keras, in two minutes; prints only
	$(BIN)/python -m benchmarks.results --quick

# PEERS may name other builds: `make bench-peers PEERS="torch jax"`.
PEERS ?= torch==2.13.0 jax==0.10.2
bench-peers: $(READY)  ## install PyTorch and JAX beside, for `make bench` to race them
	$(PYTHON) -m venv build/peers
	build/peers/bin/python -m pip install --quiet $(PEERS) numpy

tensorboard: $(READY)  ## look at the logs of every run
	$(BIN)/tensorboard --logdir=runs

lock:  ## write requirements.lock anew from setup.py
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet $(UV) setuptools
	build/lock/bin/uv pip compile --quiet --universal --python-version=3.11 --generate-hashes \
	  --no-header --no-emit-index-url --extra=dev --upgrade setup.py --output-file=requirements.lock

clean:  ## remove the environment, caches and builds (not runs, data or exports)
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment is made again when what it is made from has changed. On two cores uv takes 40 s where
# pip takes 72; pip, which has settings of its own for where packages come from, does it where uv could not.
$(READY): requirements.lock setup.py
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
	  echo "Expected Python 3.11 to 3.13, for which there is TensorFlow; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
	       "Try: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	{ $(BIN)/python -m pip install --quiet $(UV) && \
	  $(BIN)/uv pip install --python $(BIN)/python --quiet --compile-bytecode --require-hashes --requirement requirements.lock; } || \
	  $(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
