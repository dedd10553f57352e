# Makes the environment .venv and calls geomlib in it; geomlib alone does the same without Make.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
# passed on to geomlib when set
OPTIONS := $(foreach name,generator space weights distance profile device seed,$(if $($(shell echo $(name) | tr a-z A-Z)),--$(name) "$($(shell echo $(name) | tr a-z A-Z))"))
# options of the generator, each NAME=VALUE, separated by blanks
OPTIONS += $(foreach option,$(GENERATOR_OPTIONS),-o '$(option)')
# one thread for each of two test processes: on two cores faster than two threads in each
TEST_THREADS ?= 1
TEST_PROCESSES ?= 2

.PHONY: help book check-book pdf run evidence check test fuzz audit dist lint networks clean

# tests of the core and the machine that need no network of others, no notebook and no book
QUICK := $(patsubst %,tests/test_%.py,architecture eigen homogeneity memory metric operators parameters paths results \
    spectrum structure)

help:  ## show this
	@echo "make book                      run the notebooks that changed and build the book into _build/html"
	@echo "make check-book                open every page of the book in Chromium: faults, accessibility, links, sizes"
	@echo "make pdf                       print the book into one PDF, _build/geometry-of-generators.pdf; needs a Chromium"
	@echo "make run EXPERIMENT=\"a b\"      run experiments; without EXPERIMENT: list them"
	@echo "make evidence                  measure what takes hours, in the background; goes on where it was stopped"
	@echo "make test                      lint, types, spelling and tests"
	@echo "make check                     lint, types, spelling and the quick tests: a minute"
	@echo "make fuzz                      100,000 damaged and hostile inputs for every reader: an hour"
	@echo "make audit                     ask for known faults of the pinned packages"
	@echo "make dist                      the archives of a release in dist/, tried in an environment of their own"
	@echo "make lint                      lint, types and spelling"
	@echo "make networks                  bring networks that others trained (book and test do that, too)"
	@echo "make clean                     remove environment, results and built book"
	@echo
	@echo "book and run take GENERATOR SPACE WEIGHTS DISTANCE PROFILE DEVICE SEED GENERATOR_OPTIONS, for example"
	@echo "make book GENERATOR=path/to/my_gan.py:factory DISTANCE=mse"
	@echo "make book LIVE=\"shapes-dcgan dcgan-portraits\"      the generators of the live page"
	@echo "make book GENERATOR=shapes-biggan SPACE=noise GENERATOR_OPTIONS=\"class_index=2 truncation=0.7\""

book: networks
	$(BIN)/geomlib book $(OPTIONS) $(foreach name,$(LIVE),--live "$(name)")

check-book: $(READY)
	$(BIN)/geomlib check-book
	$(BIN)/pytest -q tests/whole_book.py

pdf: book
	$(BIN)/python book/print_book.py

# Without an index the book shows the embedded networks, and tests of the others are skipped and say so.
networks: $(READY)
	@$(BIN)/geomlib fetch default >/dev/null || echo "make: going on without the networks that others trained"

run: $(READY)
	$(BIN)/geomlib run $(EXPERIMENT) $(OPTIONS)

# One thread and last in the queue: it runs for hours beside other work.
evidence: networks
	OMP_NUM_THREADS=1 nice -n 15 $(BIN)/python evidence/homogeneity.py
	OMP_NUM_THREADS=1 nice -n 15 $(BIN)/python evidence/search.py
	OMP_NUM_THREADS=1 nice -n 15 $(BIN)/python evidence/inversion.py
	OMP_NUM_THREADS=1 nice -n 15 $(BIN)/python evidence/geodesics.py
	OMP_NUM_THREADS=1 nice -n 15 $(BIN)/python evidence/published_settings.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict geomlib
	$(BIN)/codespell

check: lint
	OMP_NUM_THREADS=$(TEST_THREADS) $(BIN)/pytest -q -n $(TEST_PROCESSES) $(QUICK)

test: lint networks
	OMP_NUM_THREADS=$(TEST_THREADS) $(BIN)/pytest -n $(TEST_PROCESSES) --dist loadfile --durations=25

fuzz: $(READY)
	FUZZ=100000 OMP_NUM_THREADS=1 $(BIN)/pytest -q -n $(TEST_PROCESSES) tests/test_fuzz.py

# In an environment of its own: it is asked rarely, and needs the index of advisories.
audit:
	test -x build/audit/bin/pip-audit || ($(PYTHON) -m venv build/audit && build/audit/bin/pip install --quiet pip-audit==2.10.1)
	build/audit/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip

# From a clean checkout, so that what is packed is what is tagged.
dist: lint
	@test -z "$$(git status --porcelain)" || (echo "make: commit first, then pack: git status is not clean"; exit 2)
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist .
	DIST=dist OMP_NUM_THREADS=$(TEST_THREADS) $(BIN)/pytest -q tests/test_release.py
	@cd dist && sha256sum * && cd .. && echo "dist/ holds a release; CONTRIBUTING.md says how to tag it"

clean:
	rm -rf dist .venv _build results book/executed book/_static/live/made .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info

$(READY): requirements.txt constraints.txt pyproject.toml examples/packages.txt
	@echo "make: installing the pinned requirements into .venv (a few minutes the first time)"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -c constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r examples/packages.txt
	@touch $(READY)
