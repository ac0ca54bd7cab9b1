# Each target makes the virtual environment by itself: on a fresh machine `make demo` or `make test`
# is all there is to type.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable
# What the demo needs; and, in the same environment, what tests and documents need besides.
DEMO_READY := $(VENV)/.ready_demo
READY := $(VENV)/.ready
RUN := runs/satellite2map

.PHONY: demo demo_mri demo_emoji data/toy_street toy_gta2city toy_city2labels toy_uda ablation docs environment check test test_browser bench clean

# Modules are compiled as they are imported, which for most of TensorFlow's is never.
$(DEMO_READY): setup.py constraints.txt tfcyclegan/__init__.py
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) '.[demo]' --no-compile
	touch $@

$(READY): $(DEMO_READY)
	$(INSTALL) '.[dev,pytorch]'
	touch $@

## Prepares real pictures, trains, translates a region that no training saw, scores and exports.
## Later runs skip what is done.
demo: $(DEMO_READY)
	$(BIN)/python -m data_prep.satellite_map --output_dir=data/satellite2map --region_dir=data/region
	$(BIN)/tfcyclegan train --flagfile=configs/satellite2map.cfg
	$(BIN)/tfcyclegan evaluate --run_dir=$(RUN) --direction=both
	$(BIN)/tfcyclegan export --run_dir=$(RUN) --output=saved_models/satellite2map
	$(BIN)/tfcyclegan translate --run_dir=$(RUN) --input=data/region/region_a.png --truth=data/region/region_b.png --scale=original --report --output=translated/satellite2map/ab
	$(BIN)/tfcyclegan translate --run_dir=$(RUN) --direction=ba --input=data/region/region_b.png --truth=data/region/region_a.png --scale=original --report --output=translated/satellite2map/ba
	@echo
	@echo "models:               saved_models/satellite2map"
	@echo "South America:        translated/satellite2map/ab/region_a.png and ba/region_b.png"
	@echo "beside its truth:     $(RUN)/report.html"

## Measurements instead of pictures: T1w <-> T2w MR volumes of an average brain, NIfTI to NIfTI.
MRI := runs/t1w2t2w
demo_mri: $(DEMO_READY)
	$(INSTALL) '.[measurements]'
	$(BIN)/python -m data_prep.citi168 --output_dir=data/citi168
	$(BIN)/python -m data_prep.nifti --input_dir=data/citi168 --output_dir=data/t1w2t2w --name=t1w2t2w --axis=coronal
	$(BIN)/tfcyclegan train --flagfile=configs/t1w2t2w.cfg
	$(BIN)/tfcyclegan translate --run_dir=$(MRI) --input=data/citi168/testA --output=translated/t1w2t2w/ab --previews
	$(BIN)/tfcyclegan translate --run_dir=$(MRI) --input=data/citi168/testB --direction=ba --output=translated/t1w2t2w/ba --previews
	$(BIN)/tfcyclegan evaluate --run_dir=$(MRI) --direction=both
	$(BIN)/python -m benchmarks.voxel_lookup
	@echo
	@echo "report:              $(MRI)/report.html"
	@echo "scores:              $(MRI)/evaluation/index.html"
	@echo "translated volumes:  translated/t1w2t2w/ab and translated/t1w2t2w/ba"

## Drawings: flat emoji <-> 3D ones, scored on the same emoji in both styles.
EMOJI := runs/emoji
demo_emoji: $(DEMO_READY)
	$(INSTALL) '.[emoji]'
	$(BIN)/python -m data_prep.fluent_emoji --output_dir=data/emoji
	$(BIN)/tfcyclegan train --flagfile=configs/emoji.cfg
	$(BIN)/tfcyclegan translate --run_dir=$(EMOJI) --data_dir=data/emoji --split=testA --output=translated/emoji/ab
	$(BIN)/tfcyclegan translate --run_dir=$(EMOJI) --data_dir=data/emoji --split=testB --direction=ba --output=translated/emoji/ba
	$(BIN)/tfcyclegan evaluate --run_dir=$(EMOJI) --direction=both
	@echo
	@echo "report:               $(EMOJI)/report.html"
	@echo "scores:               $(EMOJI)/evaluation/index.html"
	@echo "translated drawings:  translated/emoji/ab and translated/emoji/ba"

## The street experiments on synthetic data, in the layouts of the real ones.
data/toy_street: $(DEMO_READY)
	$(BIN)/python -m data_prep.toy_street --output_dir=data/toy_street
	$(BIN)/python -m data_prep.gta5 --input_dir=data/toy_street/gta5 --output_dir=data/toy_gta5 --name=toy_gta5
	$(BIN)/python -m data_prep.cityscapes --input_dir=data/toy_street/cityscapes --content=photos_and_labels --output_dir=data/toy_cityscapes --name=toy_cityscapes
	$(BIN)/python -m data_prep.cityscapes --input_dir=data/toy_street/cityscapes --content=label_maps --output_dir=data/toy_label_maps --name=toy_label_maps

toy_gta2city: data/toy_street
	$(BIN)/tfcyclegan train --flagfile=configs/toy_gta2city.cfg
	$(BIN)/tfcyclegan translate --run_dir=runs/toy_gta2city --data_dir=data/toy_gta5 --split=test --output=translated/toy_gta2city
	$(BIN)/tfcyclegan evaluate --run_dir=runs/toy_gta2city --pairs=data/toy_street/pairs.csv --direction=both

toy_city2labels: data/toy_street
	$(BIN)/tfcyclegan train --flagfile=configs/toy_city2labels.cfg
	$(BIN)/tfcyclegan evaluate --run_dir=runs/toy_city2labels --direction=both

## A segmenter for the photo-like street without its labels, by seven ways, with three seeds.
toy_uda: data/toy_street
	$(BIN)/tfcyclegan train --flagfile=configs/toy_gta2city.cfg
	$(BIN)/tfcyclegan adapt --flagfile=configs/toy_uda.cfg

## The paper's Tables 4 and 5 on synthetic data.
COMMA := ,
SPACE := $(subst ,, )
ABLATION := full gan_alone gan_forward gan_backward cycle_alone
ablation: data/toy_street
	for name in $(ABLATION); do \
		$(BIN)/tfcyclegan train --flagfile=configs/ablation/$$name.cfg && \
		$(BIN)/tfcyclegan evaluate --run_dir=runs/ablation/$$name --direction=both --judge=auto || exit; \
	done
	$(BIN)/tfcyclegan compare --run_dirs=$(subst $(SPACE),$(COMMA),$(ABLATION:%=runs/ablation/%)) --output=runs/ablation/compare.html

## The environment alone, with everything for development.
environment: $(READY)

## Format, lint and types: what .pre-commit-config.yaml runs at each commit.
check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

## The same and the default tests.
test: check
	$(BIN)/python -m pytest

## The demo's page and a run's report in headless Chromium.
test_browser: $(READY)
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
		{ echo "make test_browser: Chromium is not installed; apt-get install chromium, or your system's like"; exit 1; }
	$(INSTALL) '.[browser]'
	$(BIN)/python -m pytest -n 0 -m browser tests/*_browser.py

## The documents as a site: build/site/index.html.
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

## Every benchmark in a short form, about 5 minutes on 2 idle cores; the flags of the whole ones are
## in docs/performance.md.
bench: $(READY)
	$(INSTALL) '.[bench]'
	$(BIN)/python -m benchmarks.fidelity --golden tests/golden
	$(BIN)/python -m benchmarks.train_step --short
	$(BIN)/python -m benchmarks.growth --short
	$(BIN)/python -m benchmarks.input_pipeline --short
	$(BIN)/python -m benchmarks.data_prep --short
	$(BIN)/python -m benchmarks.evaluate --short
	$(BIN)/python -m benchmarks.translate --rounds=1
	$(BIN)/python -m benchmarks.tiles --plan=short
	$(BIN)/python -m benchmarks.inference --size=128 --blocks=3 --filters=32 --rounds=5

clean:
	rm -rf $(VENV) build dist *.egg-info
