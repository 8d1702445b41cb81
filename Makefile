# make demo   the main job from nothing: pictures, training, figures, answers
# make test   the tests
# make check  lint, types, import rules
# make lock   renew the pinned dependencies (make lock UPGRADE=1: to their newest versions)
#
# Each sets up what it needs in .venv; all that has to be there is Python 3.11 to 3.13 (for
# which TensorFlow has wheels; choose one with PYTHON=...), make, and a package registry.

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
UV_VERSION := 0.13.9
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate $(if $(UPGRADE),--upgrade) pyproject.toml

# TensorFlow's start-up chatter would bury what matters.
export TF_CPP_MIN_LOG_LEVEL ?= 2
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help demo test check lock setup clean

help:
	@sed -n 's/^# \{0,1\}//p;/^$$/q' Makefile

setup: .venv/.installed

demo: setup
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/demo.sh

test: setup
	$(BIN)/python -m pytest

check: setup
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lock: setup
	$(BIN)/python -m pip install --quiet uv==$(UV_VERSION)
	$(COMPILE) --output-file requirements/base.txt
	$(COMPILE) --constraints requirements/base.txt --extra train --extra lite --extra serve --extra watch \
		--extra dev --output-file requirements/dev.txt
	$(COMPILE) --constraints requirements/dev.txt --extra serve \
		--output-file requirements/serve.txt

# Goes on top of the locked packages: nothing is resolved or built in isolation here.
.venv/.installed: .venv/.locked pyproject.toml
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.locked: requirements/dev.txt | $(BIN)/python
	@echo "Installing the pinned dependencies into .venv (some 400 MB the first time)"
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/dev.txt
	@touch $@

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "pawsure trains on Python 3.11 to 3.13, and none was found." \
		"Install one, or name it: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "No virtual environment could be made with" \
		"$(PYTHON). On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

clean:
	rm -rf .venv runs/demo
