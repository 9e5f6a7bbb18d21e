# Every target sets up the environment in .venv when it is needed, and only then.
# Plain make and a POSIX shell are enough (also the make 3.81 of macOS). On Windows use the pip commands in README.md.

PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin

# Notebooks are run, and their asserts are the test: outputs differ in the last digits. The slowest cells are listed.
NBVAL := --nbval-lax --nbval-current-env --durations=12

.DEFAULT_GOAL := help
.PHONY: help demo test test-gpu lab playground projector lint audit notebooks slides clean

help: ## say what there is to do
	@echo "mrkd_edu: masked reverse knowledge distillation, made to be taught"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "Options:  make demo ARGS=\"--quick\"         passes options on (here to mrkd-edu demo)"
	@echo "          make test ARGS=\"-k metrics\"      the same for pytest"
	@echo "          make demo PYTHON=python3.12      chooses the Python that $(VENV) is made from"

demo: $(VENV)/.ready-base ## train rd and mrkd on a toy data set and write a report
	@$(BIN)/mrkd-edu demo $(ARGS)

test: lint ## check the code, then run all tests, docstring examples and notebooks (also solved)
	@echo "Running tests and docstring examples; beside them the notebooks, untouched, and solved with each cell run twice ..."
	@rm -rf out/solved && $(BIN)/python notebooks/solved.py --twice out/solved >/dev/null
	@export MRKD_EDU_BUDGET=$${MRKD_EDU_BUDGET:-quick} OMP_NUM_THREADS=1; \
	  $(BIN)/python -m pytest $(NBVAL) --junitxml=junit-notebooks.xml notebooks out/solved $(ARGS) >out/notebooks.log 2>&1 & \
	  notebooks=$$!; \
	  $(BIN)/python -m pytest --junitxml=junit-cpu.xml mrkd_edu tests $(ARGS); tests=$$?; \
	  echo "The notebooks:"; wait $$notebooks; notebooks=$$?; cat out/notebooks.log; \
	  if [ $$notebooks = 5 ] && [ $$tests != 5 ]; then notebooks=0; fi; \
	  if [ $$tests = 5 ] && [ $$notebooks = 0 ]; then tests=0; fi; \
	  [ $$tests = 0 ] && [ $$notebooks = 0 ]

test-gpu: $(VENV)/.ready-test ## the same on a CUDA GPU: GPU tests, and the notebooks at full length
	@$(BIN)/python -c "import torch; raise SystemExit(not torch.cuda.is_available())" || { \
	  echo "torch sees no CUDA GPU here, so there is nothing to test on one. What it sees: $(BIN)/mrkd-edu doctor"; \
	  exit 1; }
	@echo "Running GPU tests, and the notebooks at full length ..."
	@MRKD_EDU_BUDGET=full \
	  MRKD_EDU_TEACHER=$$($(BIN)/python -c "from mrkd_edu.lessons.course import teacher_at_hand; print(teacher_at_hand())") \
	  $(BIN)/python -m pytest $(NBVAL) --junitxml=junit-gpu.xml tests/test_gpu.py notebooks $(ARGS)

lab: $(VENV)/.ready-notebooks ## open the notebooks in JupyterLab
	@$(BIN)/python -m jupyterlab notebooks $(ARGS)

lint: $(VENV)/.ready-test ## check style (ruff) and types (mypy)
	@echo "Checking style and types ..."
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m mypy

playground: $(VENV)/.ready-notebooks ## open the explorers as an app without code, for a projector
	@echo "Getting two models ready. The first time they are trained, about two minutes."
	@$(BIN)/python -c "from mrkd_edu.lessons.course import playground; playground()"
	@echo "Opening the playground in the browser. Every page has a kernel of its own, which ends two minutes after the page is closed; Ctrl-C here ends all."
	@$(BIN)/python -m voila notebooks/playground.ipynb $(ARGS)

notebooks: $(VENV)/.ready-notebooks ## run every notebook again and keep its new output
	@$(BIN)/python notebooks/execute.py $(ARGS)

projector: $(VENV)/.ready-notebooks ## one explorer at a time, as large as the screen, for a room
	@echo "Opening the projector page in the browser. Something to read is there while the students get ready; Ctrl-C here ends it."
	@$(BIN)/python -m voila notebooks/projector.ipynb $(ARGS)

audit: $(VENV)/.ready-test ## ask the public list of known faults about every installed package (needs a network)
	@$(BIN)/python -m venv out/audit && out/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	@out/audit/bin/python -m pip_audit --strict --skip-editable --progress-spinner off \
	  --path $$($(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))") $(ARGS)

slides: $(VENV)/.ready-notebooks ## make slides of the notebooks, in slides/
	@$(BIN)/python -m nbconvert --to slides --no-input --SlidesExporter.reveal_scroll=True --output-dir slides notebooks/[0-9]*.ipynb

clean: ## remove what tests and tools leave behind; trained models and .venv stay
	@rm -rf .pytest_cache .ruff_cache .mypy_cache .hypothesis build dist slides junit*.xml
	@find . -name $(VENV) -prune -o -type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -exec rm -rf {} +
	@echo "Clean. The environment is still there; to remove it as well: rm -rf $(VENV)"

# --- the environment ------------------------------------------------------------------------------------------
# .venv/.made-in holds the folder that .venv belongs to. No such file, another folder (the project was moved), or
# a Python that is gone (it was upgraded): the target counts as phony, so it and the installation are done again.
# Each .ready-* stamp says that one set of packages is installed as pyproject.toml asks.

ifneq ($(shell test -x $(BIN)/python && cat $(VENV)/.made-in 2>/dev/null),$(CURDIR))
.PHONY: $(VENV)/.made-in
endif

$(VENV)/.made-in:
	@test -x $(BIN)/python || { \
	  "$(PYTHON)" -c "" 2>/dev/null || { \
	    echo "There is no Python called '$(PYTHON)' here. Install Python 3.10 or later,"; \
	    echo "or name the one you have: make PYTHON=python3.12"; exit 1; }; \
	  "$(PYTHON)" -c "import sys; sys.exit(sys.version_info < (3, 10))" || { \
	    echo "'$(PYTHON)' is $$("$(PYTHON)" --version 2>&1), but mrkd_edu needs Python 3.10 or later."; \
	    echo "Name a newer one: make PYTHON=python3.12"; exit 1; }; \
	  "$(PYTHON)" -c "import venv, ensurepip" 2>/dev/null || { \
	    echo "This Python cannot make environments: its module venv (or ensurepip) is missing."; \
	    echo "On Debian or Ubuntu: sudo apt-get install python3-venv"; exit 1; }; \
	  echo "Making the environment $(VENV) with $$("$(PYTHON)" --version) ..."; \
	  "$(PYTHON)" -m venv --clear $(VENV); }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@pwd > $@

TEST_EXTRAS := [notebooks,test]

define INSTALL
@echo "Setting up $(VENV): $(1)."
@echo "The first time this downloads 2 to 3 GB on Linux (PyTorch with CUDA; 6 GB on disk), less than 1 GB on macOS:"
@echo "two minutes on a fast network, half an hour on a slow one. Please wait ..."
@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".$(2)" || { \
  echo; \
  echo "The set-up did not finish: pip's message is above. Run the same make command again when the network"; \
  echo "is back; what was downloaded is kept. If pip found no torch for your Python, take another Python:"; \
  echo "rm -rf $(VENV), then for example make PYTHON=python3.12"; exit 1; }
endef

$(VENV)/.ready-base: pyproject.toml $(VENV)/.made-in
	$(call INSTALL,the library,)
	@touch $@

$(VENV)/.ready-notebooks: pyproject.toml $(VENV)/.made-in
	$(call INSTALL,the library with JupyterLab,[notebooks])
	@touch $(VENV)/.ready-base $@

$(VENV)/.ready-test: pyproject.toml $(VENV)/.made-in
	$(call INSTALL,the library with JupyterLab and the test tools,$(TEST_EXTRAS))
	@touch $(VENV)/.ready-base $(VENV)/.ready-notebooks $@
