# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OUT ?= demo-audit

.PHONY: demo test test-quick check audit sbom install clean

demo: $(STAMP)  ## draw people who do not exist, audit them, say where the report is
	$(BIN)/reid-audit demo -o $(OUT)

test: $(STAMP)  ## the whole test suite, one file a core
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 --dist loadfile --durations 15

test-quick: $(STAMP)  ## what needs no network, no program and no whole audit: about a minute
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 -m "not slow" --durations 5

check: $(STAMP)  ## lint, format, types, import direction
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: $(STAMP)  ## known vulnerabilities of what is installed; asks an advisory database on the net
	$(BIN)/uvx --from pip-audit pip-audit --progress-spinner off --path $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

sbom: $(STAMP)  ## what is installed, as CycloneDX JSON: sbom.json
	$(BIN)/uvx --from cyclonedx-bom cyclonedx-py environment $(BIN)/python --output-format JSON --output-reproducible -o sbom.json

install: $(STAMP)

$(STAMP): pyproject.toml tests/tools.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -e '.[dev,ray,remote,utility]'
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --no-deps -r tests/tools.txt
	touch $(STAMP)

clean:
	rm -rf $(VENV) build *.egg-info
