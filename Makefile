# The only entry points a newcomer needs. Each makes .venv first, on a machine with Python, git and make alone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MANAGE := $(BIN)/python manage.py
PORT ?= 8000
export PORT

.DEFAULT_GOAL := help
.PHONY: help run demo test lint lint-types lint-rest format bench lock screenshots schemas soak clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/runtime: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Trainyard needs Python 3.11 or later; set PYTHON=…")'
	@echo "Installing what Trainyard needs into $(VENV); this takes some minutes, once."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/dev: requirements-dev.txt $(VENV)/runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	touch $@

run: $(VENV)/runtime  ## the whole platform on http://127.0.0.1:$(PORT), state in $TRAINYARD_HOME (default .data)
	@$(BIN)/python platform/config/launcher.py

demo: $(VENV)/runtime  ## train, publish and use an image and a text model, without a person
	$(BIN)/python samples/demo.py

test: $(VENV)/dev lint  ## lint, then every test for which this machine has the servers
	$(BIN)/python -m tests.run

soak: $(VENV)/dev  ## the tests that take long: the whole matrix of trainings, every crash point
	$(BIN)/python -m tests.run --soak

lint: $(VENV)/dev  ## ruff, mypy, import-linter, djlint, migrations, deployment checks
	@$(MAKE) --no-print-directory --jobs=2 lint-types lint-rest

lint-types: $(VENV)/dev
	PYTHONPATH=platform:. $(BIN)/mypy

lint-rest: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYTHONPATH=platform:. $(BIN)/lint-imports --no-cache
	$(BIN)/djlint platform/templates --check --quiet
	$(BIN)/djlint platform/templates --lint --quiet
	DJANGO_SETTINGS_MODULE=config.settings.test $(MANAGE) makemigrations --check --dry-run
	SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))') ALLOWED_HOSTS=example.org \
		TRAINYARD_HOME=$$(mktemp -d) DJANGO_SETTINGS_MODULE=config.settings.production \
		$(MANAGE) check --deploy --fail-level WARNING

format: $(VENV)/dev  ## rewrite the code in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/djlint platform/templates --reformat --quiet

bench: $(VENV)/dev  ## every benchmark
	$(BIN)/python -m benchmarks all

schemas: $(VENV)/dev  ## docs/schemas, from the models that check the documents
	$(BIN)/python docs/write_schemas.py

screenshots: $(VENV)/dev  ## docs/screenshots, from the running product
	$(BIN)/python docs/screenshots.py

lock: $(VENV)/dev  ## pin the newest versions that requirements*.in allow, each file by its SHA-256
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --no-header --no-annotate --generate-hashes --upgrade requirements.in -o requirements.txt
	$(BIN)/uv pip compile --universal --python-version 3.11 --no-header --no-annotate --generate-hashes --upgrade requirements-dev.in -o requirements-dev.txt

clean:  ## remove what can be made again (not the state in .data)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
