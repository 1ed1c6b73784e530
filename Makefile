# `make train` and `make test` need only Python 3.11, 3.12 or 3.13: both build
# .venv from that version's file in requirements/ if it is missing or outdated.

VENV ?= .venv
# The python3 on PATH if it will do and is not .venv's own, else the first that
# does. A name may be on PATH and not run.
ifndef PYTHON
PYTHON := $(shell PATH=$$(echo "$$PATH" | sed 's|$(CURDIR)/[^:]*/bin:||g'); \
                  for python in python3 python3.12 python3.13 python3.11; do \
                    $$python -c 'import sys; assert (3, 11) <= sys.version_info[:2] < (3, 14)' \
                      2>/dev/null && command -v $$python && break; \
                  done)
endif
LOCK := requirements/$(shell $(PYTHON) -c \
          'import sys; print("py%d%d.lock" % sys.version_info[:2])' 2>/dev/null)
# Hash of the content of .venv. The stamp file is named after it and written last,
# so that an interrupted or outdated installation is built again.
VENV_KEY := $(shell { cat $(LOCK); $(PYTHON) --version; } 2>&1 \
                    | cksum | tr -d ' ')
VENV_STAMP := $(VENV)/complete-$(VENV_KEY)
MODEL_DIR ?= runs/quickstart
BENCHMARKS_DIR ?= runs/benchmarks
# Number of test files that run in parallel.
TEST_PROCESSES ?= 2

# Environment of the site: not .venv, whose packages it would change.
DOCS_VENV ?= .venv-docs
DOCS_LOCK := requirements/docs.lock
DOCS_STAMP := $(DOCS_VENV)/complete-$(shell { cat $(DOCS_LOCK); $(PYTHON) --version; } \
                2>&1 | cksum | tr -d ' ')
SITE ?= build/docs
# Environment of the notebooks: Jupyter on top of the packages of .venv.
NOTEBOOKS_VENV ?= .venv-notebooks
NOTEBOOKS_LOCK := requirements/notebooks.lock
NOTEBOOKS_STAMP := $(NOTEBOOKS_VENV)/complete-$(VENV_KEY)-$(shell \
                     cksum < $(NOTEBOOKS_LOCK) | tr -d ' ')

.PHONY: train test test-all check venv benchmarks docs docs-check notebooks \
  notebooks-check lock build-files picture dist

train: $(VENV_STAMP)
	@$(VENV)/bin/python -m tools.train \
	  --gin_file=gin_configs/pretrain/quickstart.gin --model_dir=$(MODEL_DIR)

# Half of the time of all tests is that of the few that are marked slow.
test: $(VENV_STAMP)
	$(VENV)/bin/python -m pytest -n $(TEST_PROCESSES) --dist loadfile -m "not slow"

test-all: $(VENV_STAMP)
	$(VENV)/bin/python -m pytest -n $(TEST_PROCESSES) --dist loadfile

venv: $(VENV_STAMP)

# The checks of CI other than tests.
check: $(VENV_STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

# Measures the ratios that have goals, on an idle machine, and writes
# docs/results/benchmarks.md. DATA is a folder with cifar10, imagenette and videos;
# the same command resumes.
benchmarks: $(VENV_STAMP)
	@$(VENV)/bin/python -m benchmarks.run_all --output_dir=$(BENCHMARKS_DIR) \
	  $(if $(DATA),--data="$(DATA)")

# Builds the site of docs/, which works offline: open build/docs/index.html.
docs: $(DOCS_STAMP)
	@$(DOCS_VENV)/bin/python -m sphinx -q -W --keep-going -E \
	  -d $(SITE)-doctrees -b html docs $(SITE)
	@echo "$(SITE)/index.html"

# Opens every page of the site in Chromium, and follows its links.
docs-check: docs
	@$(DOCS_VENV)/bin/python docs/check_site.py $(SITE)

# Executes the notebooks and keeps their outputs.
notebooks: $(NOTEBOOKS_STAMP)
	@$(NOTEBOOKS_VENV)/bin/python docs/notebooks/execute.py --write

# Executes the notebooks with few steps and pictures; keeps nothing.
notebooks-check: $(NOTEBOOKS_STAMP)
	@$(NOTEBOOKS_VENV)/bin/python docs/notebooks/execute.py --tiny

# Rewrites requirements/ from the ranges in pyproject.toml (needs `uv`).
lock:
	for version in 3.11 3.12 3.13; do \
	  uv pip compile pyproject.toml --extra test --python-version $$version \
	    --no-annotate --no-header --no-emit-index-url --no-emit-find-links \
	    --upgrade --output-file requirements/py3$${version#3.}.lock || exit 1; \
	done
	uv pip compile --group docs --python-version 3.11 \
	  --no-annotate --no-header --no-emit-index-url --no-emit-find-links \
	  --upgrade --output-file $(DOCS_LOCK)
	@# PyTorch, which a notebook needs, is not locked: .venv may have it.
	echo "torch; sys_platform == 'never'" | \
	  uv pip compile --group notebooks --python-version 3.11 \
	  --no-annotate --no-header --no-emit-index-url --no-emit-find-links \
	  --override /dev/stdin --upgrade --output-file $(NOTEBOOKS_LOCK)

# Rewrites srcs and deps of the BUILD files from the sources.
build-files: $(VENV_STAMP)
	$(VENV)/bin/python bazel/build_files.py

# Redraws docs/architecture.svg from the table in bazel/build_files.py.
picture: $(VENV_STAMP)
	$(VENV)/bin/python -m bazel.architecture_picture

# Builds dist/tf_ssl-VERSION.tar.gz and the wheel (docs/releasing.md).
dist: $(VENV_STAMP)
	@$(VENV)/bin/python -m release.distributions --output=dist

$(VENV_STAMP):
	@test -f "$(LOCK)" || { \
	  echo "tf_ssl needs Python 3.11, 3.12 or 3.13," \
	    "and found $(if $(PYTHON),$(shell $(PYTHON) --version 2>&1 | head -n 1),none on PATH)." \
	    "Name one: make PYTHON=/path/to/python3.12" >&2; \
	  exit 2; }
	@echo "Installing $(LOCK) into $(VENV) (once, some minutes)"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install -qq --disable-pip-version-check \
	  --no-input --no-compile --no-deps -r $(LOCK)
	@# On all cores, even if PYTHONDONTWRITEBYTECODE is set: without it, TensorFlow
	@# takes 15 seconds longer to start.
	@$(VENV)/bin/python -m compileall -qq -j 0 $(VENV)/lib || true
	@touch $@

$(DOCS_STAMP):
	@test -n "$(PYTHON)" || { \
	  echo "The site needs Python 3.11, 3.12 or 3.13" >&2; exit 2; }
	@echo "Installing $(DOCS_LOCK) into $(DOCS_VENV) (once)"
	@rm -rf $(DOCS_VENV)
	@$(PYTHON) -m venv $(DOCS_VENV)
	@$(DOCS_VENV)/bin/python -m pip install -qq --disable-pip-version-check \
	  --no-input --no-deps -r $(DOCS_LOCK)
	@touch $@

$(NOTEBOOKS_STAMP): $(VENV_STAMP)
	@echo "Installing $(NOTEBOOKS_LOCK) into $(NOTEBOOKS_VENV) (once)"
	@rm -rf $(NOTEBOOKS_VENV)
	@$(VENV)/bin/python -m venv $(NOTEBOOKS_VENV)
	@$(NOTEBOOKS_VENV)/bin/python -m pip install -qq --disable-pip-version-check \
	  --no-input --no-deps -r $(NOTEBOOKS_LOCK)
	@# The packages of .venv come after its own.
	@$(VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
	  > "$$($(NOTEBOOKS_VENV)/bin/python -c \
	    'import sysconfig; print(sysconfig.get_path("purelib"))')/project.pth"
	@touch $@
