# make demo — показать приложение на учебном портале; make test — всё проверить.
# make demo shows the application on a sandbox portal; make test checks everything.

PYTHON ?= python3
CONFIG ?= config.toml
# Journeys wait more than they compute. Tests of one file stay together: they share an office.
TESTS_AT_ONCE ?= 3
BIN := .venv/bin
APP_STAMP := .venv/.installed-app
DEV_STAMP := .venv/.installed-dev
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --require-hashes
# The longest first: one process lives by chance while the other breaks everything else.
CHAOS ?= $(addprefix tests/chaos/,random_run.py sweep.py guards.py around.py pairs.py clock_jumps.py) \
	$(addprefix tests/journeys/,test_faults.py test_storm.py test_sms.py test_installation.py test_postgresql.py)
COMPILE := $(BIN)/pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
	--strip-extras --allow-unsafe

.PHONY: help setup demo test check chaos bench fuzz audit screenshots run lock clean

help:
	@echo 'make demo         учебный портал и сцена: пропущенный звонок находит менеджера / the scene on a sandbox portal'
	@echo 'make run          рабочий запуск по config.toml / run by config.toml'
	@echo 'make test         все проверки и тесты / every check and test'
	@echo 'make check        только проверки кода / only the checks of the code'
	@echo 'make chaos        отказы: долго, docs/chaos.md / every fault, takes long'
	@echo 'make bench        измерения, docs/benchmarks.md; BENCH=burst только их / measurements; BENCH=burst those only'
	@echo 'make fuzz         100 000 испорченных запросов ко всем дверям / broken requests to every door; SEED=... repeats them'
	@echo 'make audit        известные уязвимости закреплённых пакетов / known vulnerabilities of the pinned packages'
	@echo 'make screenshots  снимки для README из живого показа / pictures for the README from the running demo'
	@echo 'make lock         закрепить версии заново / pin the versions anew'

setup: $(APP_STAMP)

demo: setup
	@$(BIN)/b24app demo $(DEMO)

run: setup
	@$(BIN)/b24app --config $(CONFIG) run

test: check $(BIN)/.browser
	$(BIN)/python -m pytest --numprocesses $(TESTS_AT_ONCE) --dist loadfile

check: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

chaos: $(DEV_STAMP) $(BIN)/.faketime
	@export CHAOS_SEED=$${CHAOS_SEED:-$$(shuf -i 0-999999 -n 1)}; echo "CHAOS_SEED=$$CHAOS_SEED"; \
	$(BIN)/python -m pytest -vv --override-ini timeout=7200 \
		--numprocesses 2 --dist loadfile --no-loadscope-reorder $(CHAOS)

bench: $(DEV_STAMP) $(BIN)/.browser
	@$(BIN)/python -m benchmarks --write docs/benchmarks.md $(BENCH)

fuzz: $(DEV_STAMP)
	@FUZZ=$(or $(FUZZ),100000) $(BIN)/python -m pytest -s tests/fuzz

# It asks the network, so it is no part of the tests; in an environment of its own, so that the lock stays ours.
audit:
	@rm -f build/audit.json && mkdir -p build && $(PYTHON) -m venv build/audit
	@build/audit/bin/pip --disable-pip-version-check --quiet install pip-audit || \
		{ echo 'pip-audit не поставить: проверить зависимости нельзя / cannot be installed: nothing is checked'; exit 2; }
	@build/audit/bin/pip-audit --disable-pip --require-hashes --requirement requirements.txt --format json \
		--output build/audit.json; found=$$?; \
	if [ ! -s build/audit.json ]; then \
		echo 'База уязвимостей не отвечает: проверить зависимости нельзя / The database does not answer: nothing is checked'; \
		exit 2; fi; \
	if [ $$found = 0 ]; then echo 'Известных уязвимостей нет / No known vulnerabilities'; else \
		cat build/audit.json; echo; echo 'Есть уязвимости, см. выше / There are vulnerabilities, see above'; exit 1; fi

screenshots: $(DEV_STAMP) $(BIN)/.browser
	@$(BIN)/python docs/images/take.py

lock: $(DEV_STAMP)
	$(COMPILE) --extra dev --output-file requirements-dev.txt pyproject.toml
	$(COMPILE) --constraint requirements-dev.txt --output-file requirements.txt pyproject.toml

clean:
	rm -rf .venv var build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# The project itself is not built: a path file beside the packages and a starter do, and need no network.
$(BIN)/b24app:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Нужен Python 3.11 или новее / Python 3.11 or newer is needed: make PYTHON=python3.11'; exit 1; }
	@echo 'Готовлю окружение .venv / Preparing .venv ...'
	@$(PYTHON) -m venv .venv || \
		{ echo 'Нужен модуль venv / The venv module is needed: apt-get install python3-venv'; rm -rf .venv; exit 1; }
	@$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' | \
		{ read -r packages; pwd > "$$packages/b24app.pth"; }
	@printf '#!%s\nimport sys\n\nfrom b24app.__main__ import main\n\nsys.exit(main())\n' "$$(pwd)/$(BIN)/python" > $@
	@chmod +x $@

$(APP_STAMP): requirements.txt | $(BIN)/b24app
	@echo 'Ставлю закреплённые пакеты / Installing the pinned packages (requirements.txt) ...'
	@$(PIP) -r requirements.txt
	@touch $@

$(DEV_STAMP): requirements.txt requirements-dev.txt | $(BIN)/b24app
	@echo 'Ставлю закреплённые пакеты для проверок / Installing the pinned packages for tests (requirements-dev.txt) ...'
	@$(PIP) -r requirements-dev.txt
	@touch $(APP_STAMP) $@

# $(call debian,whether it is there,package,what for / in English)
define debian
	@if $(1); then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo 'Ставлю $(2), $(3) ...'; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(2) >/dev/null; \
	else \
		echo 'Нужен $(2), $(3): sudo apt-get install $(2)'; exit 1; \
	fi
	@touch $@
endef

$(BIN)/.browser: | $(DEV_STAMP)
	$(call debian,command -v chromium >/dev/null,chromium,для тестов страниц / to test the pages)

$(BIN)/.faketime: | $(DEV_STAMP)
	$(call debian,ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1,faketime,переводить часы / to put clocks forward and back)
