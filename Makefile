# Needs Python 3.11 or later, make and a package index; everything else goes into .venv/.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

OPENVINO := .venv-openvino
GPU := .venv-gpu
GPU_INSTALL := .venv-gpu-install
TRAINING := .venv-training
DOCS := .venv-docs
LATEST := .venv-latest

# Versions that were tested together.
TESTED := --constraint constraints.txt

# Those that test-gpu-install installs. pip gets the libraries of TensorRT from NVIDIA's own index.
GPU_EXTRAS ?= gpu gpu-cuda13 tensorrt tensorrt-cuda13

# Where NAME.jpg and what U²-Net made of it, NAME.rembg.png, lie for eval-tiny; may be absent.
PHOTOS ?= photos

# What bench can measure here beside the CPU: OpenVINO in bf16.
AMX := $(shell grep -m 1 -o amx_bf16 /proc/cpuinfo 2>/dev/null)

.PHONY: help demo test test-browser test-latest reference docs soak soak-names test-engines test-openvino test-gpu
.PHONY: bench bench-gpu eval-tiny eval-suspect eval-refine pictures train-tiny test-gpu-install test-training clean

help:
	@echo "make demo   cut out the pictures in examples/ with the bundled model, into cutouts/"
	@echo "make test   ruff, mypy and the tests"
	@echo "make test-latest  the tests with the newest versions of everything, in .venv-latest/"
	@echo "make docs   the documentation as a site, in site/"
	@echo "make reference  docs/options.md, tables of other pages and a template's metadata, made of the code"
	@echo "make soak   10,000 pictures through one run, whose memory must stay flat"
	@echo "make soak-names  a million names on one machine: its time and memory; 2 million files"
	@echo "make test-engines   one job on other engines, downloaded into .engines/, and pipelines in"
	@echo "            Java and Go; needs Go, Java and Maven"
	@echo "make test-browser   the report in Chromium"
	@echo "make test-openvino  the tests of every model on OpenVINO, in an environment of its own"
	@echo "make test-gpu  the tests on an NVIDIA GPU, in an environment of its own; three minutes"
	@echo "make bench-gpu  speed there against onnxruntime alone, in the same one; five minutes"
	@echo "make test-gpu-install  each extra for NVIDIA's GPUs brings all libraries; needs no GPU"
	@echo "make bench  speed, CPU and memory against onnxruntime alone, rembg p and a plain DoFn;"
	@echo "            takes about 50 minutes on 2 cores"
	@echo "make eval-tiny      how good the bundled model is; with PHOTOS=FOLDER on photos too"
	@echo "make eval-suspect   how many spoiled masks the row's suspect finds; with PHOTOS=FOLDER too"
	@echo "make eval-refine    how much --refine_above gains at edges; with PHOTOS=FOLDER on photos too"
	@echo "make pictures  those of README.md, docs/masks.md and docs/framing.md"
	@echo "make train-tiny     train it anew, in .venv-training/; takes about eight hours on 2 cores"
	@echo "make test-training  the tests of its training, in the same environment"
	@echo "make clean  remove what these made"

demo: $(VENV)/run
	$(BIN)/rembg-beam run --input examples --output cutouts --model tiny
	@echo "The cutouts are in $(CURDIR)/cutouts"

test: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest --numprocesses logical --maxprocesses 4 --dist worksteal

reference: $(VENV)/dev
	cd tests && $(CURDIR)/$(BIN)/python -m support.reference
	cd benchmarks && $(CURDIR)/$(BIN)/python scale.py

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rembg-beam needs Python 3.11 or later; say which by: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run: pyproject.toml setup.py constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet $(TESTED) --editable '.[cpu]'
	touch $@

$(VENV)/dev: pyproject.toml setup.py constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet $(TESTED) --editable '.[cpu,dev]'
	touch $@ $(VENV)/run

test-latest:
	$(PYTHON) -m venv --clear $(LATEST)
	$(LATEST)/bin/python -m pip install --quiet --editable '.[cpu,dev]'
	$(LATEST)/bin/pytest --numprocesses logical --maxprocesses 4 --dist worksteal

docs: $(DOCS)/run
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict

# Public names are imported and inspected: their docstrings are made of their settings.
$(DOCS)/run: pyproject.toml setup.py constraints.txt
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -m pip install --quiet $(TESTED) --editable '.[docs]'
	touch $@

soak: $(VENV)/dev
	$(BIN)/pytest -m soak

soak-names: $(VENV)/dev
	$(BIN)/pytest -m soak_names --capture=no tests/test_soak_names.py

# What can't be had is skipped, and why is said.
test-engines: $(VENV)/dev
	$(BIN)/pytest tests/test_engines.py tests/test_expansion.py tests/test_watching.py -m "(engines or not engines) and not soak"

# With Chromium or Chrome, wherever it lies; skipped without.
test-browser: $(VENV)/dev
	$(BIN)/python -m pip install --quiet $(TESTED) --editable '.[cpu,dev,browser]'
	$(BIN)/pytest -m browser tests/test_browser.py

test-openvino: $(OPENVINO)/dev
	$(OPENVINO)/bin/pytest -m openvino

$(OPENVINO)/dev: pyproject.toml setup.py
	$(PYTHON) -m venv $(OPENVINO)
	$(OPENVINO)/bin/python -m pip install --quiet --editable '.[openvino,dev]'
	touch $@

bench: $(VENV)/bench $(if $(AMX),$(OPENVINO)/dev)
	$(BIN)/python benchmarks/bench.py

$(VENV)/bench: $(VENV)/dev
	$(BIN)/python -m pip install --quiet --editable '.[cpu,dev,bench]'
	touch $@

test-gpu: $(GPU)/run
	$(GPU)/bin/pytest -m gpu

bench-gpu: $(GPU)/run
	$(GPU)/bin/python benchmarks/on_gpu.py

$(GPU)/run: pyproject.toml setup.py constraints.txt
	$(PYTHON) -m venv $(GPU)
	$(GPU)/bin/python -m pip install --quiet $(TESTED) --editable '.[gpu]' pytest
	touch $@

# One after the other: each takes 4 GB, or more with TensorRT.
test-gpu-install:
	set -e; for extra in $(GPU_EXTRAS); do \
		echo "rembg-beam[$$extra]"; \
		$(PYTHON) -m venv --clear $(GPU_INSTALL); \
		$(GPU_INSTALL)/bin/python -m pip install --quiet $(TESTED) --editable ".[$$extra]" pyelftools pytest; \
		du -sh $(GPU_INSTALL); \
		$(GPU_INSTALL)/bin/pytest -m gpu_install tests/test_gpu_install.py; \
	done
	rm -rf $(GPU_INSTALL)

eval-tiny: $(VENV)/dev
	$(BIN)/python -m training.evaluate --photos $(PHOTOS)

eval-suspect: $(VENV)/dev
	$(BIN)/python -m training.doubted --photos $(PHOTOS)

eval-refine: $(VENV)/dev
	$(BIN)/python -m training.refined --photos $(PHOTOS)

pictures: $(VENV)/dev
	$(BIN)/python -m training.mask_pictures
	$(BIN)/python -m training.framing_pictures
	$(BIN)/python -m training.strip_pictures

# Memory that glibc keeps between steps: without, a step at 256 px takes half as long again.
train-tiny: export MALLOC_MMAP_MAX_ = 0
train-tiny: export MALLOC_TRIM_THRESHOLD_ = 100000000000
train-tiny: $(TRAINING)/dev
	$(TRAINING)/bin/python -m training.train --output trained/coarse --photos $(PHOTOS)
	$(TRAINING)/bin/python -m training.train --start trained/coarse/checkpoint.pt --steps 3000 \
		--seed 8 --rate 1e-3 --output trained/fine --photos $(PHOTOS)
	$(TRAINING)/bin/python -m training.train --start trained/fine/checkpoint.pt --steps 1500 \
		--seed 9 --rate 6e-4 --posed 5 --output trained/posed --photos $(PHOTOS)
	$(TRAINING)/bin/python -m training.train --start trained/posed/checkpoint.pt --steps 500 \
		--seed 10 --rate 4e-4 --posed 5 --sides 192 224 256 288 320 \
		--output trained/sides --photos $(PHOTOS)
	$(TRAINING)/bin/python -m training.train --start trained/sides/checkpoint.pt --steps 2800 \
		--seed 11 --rate 8e-4 --posed 6 --sides 192 224 256 \
		--output trained/longer --photos $(PHOTOS)
	$(TRAINING)/bin/python -m training.train --start trained/longer/checkpoint.pt --steps 600 \
		--seed 12 --rate 5e-4 --posed 7 --sides 192 256 --output trained --photos $(PHOTOS)
	$(TRAINING)/bin/python -m training.export trained/longer/checkpoint.pt trained/checkpoint.pt \
		trained/tiny.onnx
	$(TRAINING)/bin/python -m training.evaluate --model trained/tiny.onnx --photos $(PHOTOS)

test-training: $(TRAINING)/dev
	$(TRAINING)/bin/pytest -m training

$(TRAINING)/dev: pyproject.toml setup.py
	$(PYTHON) -m venv $(TRAINING)
	$(TRAINING)/bin/python -m pip install --quiet --editable '.[cpu,dev,training]'
	touch $@

clean:
	rm -rf .engines $(VENV) $(OPENVINO) $(GPU) $(GPU_INSTALL) $(TRAINING) $(DOCS) $(LATEST) cutouts trained build dist site *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
