# Each target makes the virtual environment by itself: on a fresh machine `make demo` or `make test` is all there is to type.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RUN := runs/satellite2map

.PHONY: demo test lint bench clean

$(READY): setup.py constraints.txt tfcyclegan/__init__.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,pytorch]'
	touch $@

## Prepares real pictures, trains, translates, scores and exports. Later runs skip what is done.
demo: $(READY)
	$(BIN)/python -m data_prep.satellite_map --output_dir=data/satellite2map
	$(BIN)/tfcyclegan train --flagfile=configs/satellite2map.cfg
	$(BIN)/tfcyclegan translate --run_dir=$(RUN) --data_dir=data/satellite2map --split=testA --output=translated/satellite2map/ab
	$(BIN)/tfcyclegan translate --run_dir=$(RUN) --data_dir=data/satellite2map --split=testB --direction=ba --output=translated/satellite2map/ba
	$(BIN)/tfcyclegan evaluate --run_dir=$(RUN) --direction=both
	$(BIN)/tfcyclegan export --run_dir=$(RUN) --output=saved_models/satellite2map
	@echo
	@echo "report:               $(RUN)/report.html"
	@echo "translated pictures:  translated/satellite2map/ab and translated/satellite2map/ba"
	@echo "models:               saved_models/satellite2map"

## Lint, types and the default tests.
test: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

bench: $(READY)
	$(BIN)/python -m benchmarks.fidelity --golden tests/golden

clean:
	rm -rf $(VENV) build dist *.egg-info
