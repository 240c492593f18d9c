# Everything starts from here: make demo, make test, make lint, make bench.  Needs Python 3.11-3.13 and make, nothing else.
# PYTHON=/path/to/python3.12 picks an interpreter; ARGS="…" passes options on to the command.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
.SILENT:
.DEFAULT_GOAL := help
.PHONY: help demo test long-test lint types format bench install clean browser-libraries

help:
	echo "make demo     show a segmentation growing in the browser   (ARGS=\"--sample flood2021 --pace 0\")"
	echo "make test     lint, types and all tests                    (ARGS=\"-k streamer\" selects)"
	echo "make long-test  Firefox, a reverse proxy, an S3 server, a fuzzer, an OpenID provider, runs in a cluster, images with podman"
	echo "make lint     ruff and mypy, and TypeScript over the page"
	echo "make bench    the benchmarks, quickly                      (ARGS=\"--json\")"
	echo "make install  set up .venv with everything"
	echo "make clean    remove .venv and caches"

# A name on the PATH need not start (version managers leave such behind), so each candidate is tried.
$(BIN)/python:
	for python in "$(PYTHON)" python3 python3.13 python3.12 python3.11 python; do \
	  [ -n "$$python" ] || continue; \
	  "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1 || continue; \
	  if ! "$$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then \
	    echo "$$python has no venv module: install the package python3-venv (Debian, Ubuntu), then run make again." >&2; exit 1; \
	  fi; \
	  rm -rf $(VENV); \
	  "$$python" -m venv $(VENV) || exit 1; exit 0; \
	done; \
	echo "No Python 3.11, 3.12 or 3.13 found (TensorFlow has no package for newer ones): install one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1

# The demo's network runs on OpenVINO, which is smaller than TensorFlow; where it cannot be had the demo does without.
# pip speaks to stderr, so that a recipe's stdout holds only what the command itself prints.
$(VENV)/.run: pyproject.toml constraints.txt | $(BIN)/python
	echo "Setting up .venv (once; a minute or two) …" >&2
	install() { $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable "$$1" 1>&2; }; \
	  install ".[render,openvino]" || { echo "Once more without OpenVINO, which the demo can do without …" >&2; install ".[render]"; }
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt $(VENV)/.run | $(BIN)/python
	echo "Adding the test tools to .venv …" >&2
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[render,dev]" 1>&2
	touch $@

install: $(VENV)/.dev

demo: $(VENV)/.run
	exec $(BIN)/cavecast demo $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m tests.web.types

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Two files of tests at a time: most of them wait for other processes.  ARGS="-n 0" runs one test after the other.
# A process whose test hung beyond help is replaced, and its file begun again: twice, then it is enough.
# The networks' tests have processes of their own: TensorFlow and the software OpenGL under VTK cannot be in the same
# one, whichever comes first.  5 is pytest's way of saying that ARGS selects none of these.
# They are thousands, with real processes, browsers and clocks, and share the machine with whatever else it does: what
# failed (1 is pytest's word for that) is run once more with nothing beside it, and has failed if it fails again.
test: $(VENV)/.dev browser-libraries lint
	pass() { \
	  $(BIN)/python -m pytest -n 2 --dist loadfile --max-worker-restart 2 "$$@" && return; code=$$?; \
	  [ $$code -ne 5 ] || return 0; \
	  [ $$code -eq 1 ] || return $$code; \
	  echo "Once more, by themselves, those that failed:"; \
	  $(BIN)/python -m pytest --last-failed --last-failed-no-failures none --maxfail 5 "$$@" -n 0; \
	}; \
	pass --ignore tests/ffn $(ARGS) && pass --override-ini testpaths=tests/ffn $(ARGS)

# Firefox, a reverse proxy, Jupyter's, an S3 server, a fuzzer, an OpenID provider, images: many minutes, and packages that the other tests do
# without.  Images are built as root and take 10 GB: ARGS="-k 'not containers'" leaves them out, ARGS="-k containers"
# takes them alone.
long-test: $(VENV)/.dev
	sh tests/system-packages.sh long
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[render,dev,long]" 1>&2
	$(BIN)/python -m tests.access.certified 1>&2
	$(BIN)/python -m pytest -m long --timeout 3000 --override-ini faulthandler_timeout=3060 --ignore tests/ffn $(ARGS) || [ $$? -eq 5 ]
	$(BIN)/python -m pytest -m long --timeout 3000 --override-ini faulthandler_timeout=3060 --override-ini testpaths=tests/ffn $(ARGS) || [ $$? -eq 5 ]

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks.stream --quick $(ARGS)

# The page's tests need a real Chromium, the pictures an OpenGL library.
browser-libraries:
	sh tests/system-packages.sh

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
