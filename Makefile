# One environment in .venv, the tested set of versions, CPU build of torch.
PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1

.PHONY: install demo test test-slow lint bench-calibration bench-cheats bench-real bench-tasks fuzz tables docs clean

install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check --quiet -c constraints.txt torch
	$(BIN)/pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[dev]'
	touch $@

demo: install  ## train the demo case, audit it, print the verdict table and where the reports are
	$(BIN)/audit demo demo

test: install lint  ## the checks of every commit
	$(BIN)/pytest -n 2 --dist loadfile

test-slow: install  ## the long ones: many retrains, browser, calibration, Hugging Face, Lightning
	$(BIN)/pip install --disable-pip-version-check --quiet -c constraints.txt transformers lightning ray distributed
	$(BIN)/pytest -n 2 --dist loadfile -m slow

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/conflicts.py

bench-calibration: install  ## false FAIL, power and PASS rates on fresh worlds
	$(BIN)/python -m benchmarks.calibration --jobs 2 --page docs/calibration.md --before docs/calibration-figures-1.json
	cp calibration.json docs/calibration-figures.json

bench-cheats: install  ## what cheating networks get past the audit, on digits
	$(BIN)/python -m benchmarks.cheats --claims random class --jobs 2 --page docs/cheats.md

bench-tasks: install  ## error rates of tasks beside classification, on data which UNLEARN_TEST_DATA names
	$(BIN)/python -m benchmarks.tasks --jobs 2 --page docs/tasks.md

bench-real: install  ## error rates on real data, which UNLEARN_TEST_DATA names
	$(BIN)/python -m benchmarks.real --jobs 2 --page docs/real-data.md

fuzz: install  ## two minutes of coverage-guided fuzzing of the certificate reader
	PYTHONPATH=fixtures:. $(BIN)/python tests/fuzz/certificate.py --seconds 120

tables: install  ## the tables of files in docs/architecture.md, from the docstrings
	$(BIN)/python .ci/architecture.py

docs: tables  ## the documentation site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict -f .ci/mkdocs.yml

clean:
	rm -rf .venv build site *.egg-info
