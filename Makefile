# `make train` and `make test` need only Python 3.11: both build .venv from
# requirements.lock if it is missing or outdated.

# The first Python 3.11 on PATH that is not .venv's own.
ifndef PYTHON
PYTHON := $(shell PATH=$$(echo "$$PATH" | sed 's|$(CURDIR)/.venv/bin:||g'); \
                  for python in python3.11 python3; do \
                    $$python -c 'import sys; assert sys.version_info[:2] == (3, 11)' \
                      2>/dev/null && command -v $$python && break; \
                  done)
endif
# Hash of the content of .venv. The stamp file is named after it and written last,
# so that an interrupted or outdated installation is built again.
VENV_KEY := $(shell { cat requirements.lock; $(PYTHON) --version; } 2>&1 \
                    | cksum | tr -d ' ')
VENV_STAMP := .venv/complete-$(VENV_KEY)
MODEL_DIR ?= runs/quickstart
# Number of test files that run in parallel.
TEST_PROCESSES ?= 2

.PHONY: train test check venv lock build-files picture

train: $(VENV_STAMP)
	@.venv/bin/python -m tools.train \
	  --gin_file=gin_configs/pretrain/quickstart.gin --model_dir=$(MODEL_DIR)

test: $(VENV_STAMP)
	.venv/bin/python -m pytest -n $(TEST_PROCESSES) --dist loadfile

venv: $(VENV_STAMP)

# The checks of CI other than tests.
check: $(VENV_STAMP)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

# Rewrites requirements.lock from the ranges in pyproject.toml (needs `uv`).
lock:
	uv pip compile pyproject.toml --extra test --python-version 3.11 \
	  --no-annotate --no-header --no-emit-index-url --no-emit-find-links \
	  --upgrade --output-file requirements.lock

# Rewrites srcs and deps of the BUILD files from the sources.
build-files: $(VENV_STAMP)
	.venv/bin/python bazel/build_files.py

# Redraws docs/architecture.svg from the table in bazel/build_files.py.
picture: $(VENV_STAMP)
	.venv/bin/python -m bazel.architecture_picture

$(VENV_STAMP):
	@test -n "$(PYTHON)" || { \
	  echo "tf_ssl needs Python 3.11 (tensorflow-addons has no newer build)" \
	    "and found none on PATH. Name one: make PYTHON=/path/to/python3.11" >&2; \
	  exit 2; }
	@echo "Installing requirements.lock into .venv (once, some minutes)"
	@rm -rf .venv
	@$(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install -qq --disable-pip-version-check \
	  --no-input --no-compile --no-deps -r requirements.lock
	@# On all cores, even if PYTHONDONTWRITEBYTECODE is set: without it, TensorFlow
	@# takes 15 seconds longer to start.
	@.venv/bin/python -m compileall -qq -j 0 .venv/lib || true
	@touch $@
