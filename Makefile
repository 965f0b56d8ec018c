# Two commands do everything: `make run` and `make test`. Both make the environment they need first.
#
#   make run                       the first camera found, else the demo scene; the page's address is printed
#   make run ARGS="--help"         anything that `edgecam run` takes
#   make test                      linter, type checker and every test this machine can run
#   make test STRICT=1             the same, but a skipped test is a failure (what CI does)
#   make coverage                  the tests, and how many of the code's lines and branches they run
#   make test-system               the service on whole systems, with 100 restarts, a camera and aarch64 in QEMU (as root)
#   make convert-env               the workstation's environment with TensorFlow, in .venv-convert
#   make mediapipe-env             the environment in which tests ask MediaPipe, in .venv-mediapipe
#   make models                    build the bundled models again
#   make lock / sbom / audit       for a release: packages with hashes, a list of all parts, known holes in them

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
ARGS   ?=
# Several tests wait for real servers more than they compute: a little over one a core.
JOBS   ?= auto

.PHONY: help run env test coverage test-system lint convert-env mediapipe-env models lock sbom audit clean

help:
	@sed -n 's/^#   //p' Makefile

run: $(VENV)/.run-ready
	@exec $(BIN)/edgecam run $(ARGS)

env: $(VENV)/.run-ready

$(VENV)/.run-ready: pyproject.toml scripts/make-env.sh
	@sh scripts/make-env.sh "$(PYTHON)" "$(VENV)" "."
	@touch $@

$(VENV)/.dev-ready: $(VENV)/.run-ready
	@sh scripts/make-env.sh "$(PYTHON)" "$(VENV)" ".[dev]"
	@touch $@

test: $(VENV)/.dev-ready
	@$(BIN)/python scripts/check.py $(if $(STRICT),--strict) --jobs $(JOBS)

coverage: $(VENV)/.dev-ready
	@$(BIN)/python -m scripts.cover --jobs $(JOBS)

test-system: $(VENV)/.dev-ready
	@EDGECAM_SYSTEM_RESTARTS=100 $(BIN)/python -m pytest -rP -v -m "system or virtual" tests/system

lint: $(VENV)/.dev-ready
	@$(BIN)/python scripts/check.py --lint-only

convert-env: pyproject.toml
	@sh scripts/make-env.sh "$(PYTHON)" .venv-convert ".[convert,jax,sweep,test]"

mediapipe-env:
	@sh scripts/make-env.sh "$(PYTHON)" .venv-mediapipe mediapipe==1.2.3

models: $(VENV)/.run-ready
	@$(BIN)/python -m converters.bundled

lock:
	@$(BIN)/python scripts/lock.py

sbom: $(VENV)/.run-ready
	@mkdir -p dist && $(BIN)/python scripts/sbom.py dist/edgecam.cdx.json && echo dist/edgecam.cdx.json

audit:
	@$(BIN)/python scripts/audit.py

clean:
	rm -rf .venv .venv-* build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* mutants
	find . -name __pycache__ -prune -exec rm -rf {} +
