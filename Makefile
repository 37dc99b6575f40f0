# make app      set up .venv and serve the page on 127.0.0.1:7860   (MODEL=own.safetensors COMPARE=other.safetensors PORT=8000)
# make test     set up everything and run all tests, browser tests included
# make test-fast  the quick ones of them
# make check    lint, format, types and floors, of Python and of web/
# make web      bundle the front end of web/ into the packages (needs node)
# make wheel-check  build the wheel, install it outside the repository, and use its commands and its page there
# make bench    measure the operator, the models and the page on this machine
# make smoke URL=https://example.org  look whether a page that is served somewhere is well
# make gpu-check  the same checks and figures for the CUDA kernels, as a report to paste

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 7860
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# OpenMP threads that wait must not spin: beside any other load they would slow everything down.
export OMP_WAIT_POLICY ?= PASSIVE
export GOMP_SPINCOUNT ?= 0

.PHONY: app test test-fast check web web-check wheel-check bench smoke gpu-check formulas browser tools clean

app: .venv/app.done
	$(BIN)/python app/main.py --host $(HOST) --port $(PORT) $(if $(MODEL),--model "$(MODEL)") $(if $(COMPARE),--compare "$(COMPARE)")

# Two workers of one thread each. Both begin with a half of the suite, in the order of tests/conftest.py, so that servers,
# models and windows are made for whole files; who has nothing left takes tests from the other.
test: .venv/dev.done tools
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal --durations=20

test-fast: .venv/dev.done
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal --durations=20 -m unit

check: .venv/dev.done web-check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The front end. Whoever uses the packages needs no node: what it bundles is committed, and checked here to be current.
web: web/node_modules/.done
	cd web && npm run --silent build

web-check: web/node_modules/.done
	cd web && npm run --silent check

web/node_modules/.done: web/package.json web/package-lock.json
	@command -v npm || \
	{ [ "$$(id -u)" = 0 ] && command -v apt-get && apt-get update --quiet && apt-get install --quiet --yes nodejs npm; } || \
	{ echo "npm is not installed; the front end's checks need node 20.19 or newer."; exit 1; }
	cd web && npm ci --no-fund --no-audit
	touch $@

wheel-check: .venv/dev.done browser
	$(BIN)/python -m pytest tests/install/wheel.py

# A benchmark has the machine to itself, so here waiting threads may spin: waking them costs 0.1 ms a call.
bench: .venv/dev.done browser
	env -u OMP_WAIT_POLICY -u GOMP_SPINCOUNT $(BIN)/python -m sifa_core bench --readme docs/operator.md
	$(BIN)/python -m benchmarks.page

smoke: .venv/app.done
	$(BIN)/python -m benchmarks.smoke "$(URL)"

gpu-check: .venv/dev.done web-check
	$(BIN)/python -m benchmarks.gpu_check

# MathML of the Learn tab's formulas, from their LaTeX in web/src/tabs/lessons.json.
formulas: .venv/dev.done
	$(BIN)/python -m tests.app.formulas

# The browser tests use the Chromium that is there; else Debian's, else the one that Playwright brings.
browser: .venv/dev.done
	@command -v chromium || command -v chromium-browser || command -v google-chrome || \
	{ [ "$$(id -u)" = 0 ] && command -v apt-get && apt-get update --quiet && apt-get install --quiet --yes chromium; } || \
	$(BIN)/python -m playwright install --with-deps chromium

# Frames are compared with those of the program ffmpeg. Without it those tests are skipped, and fail where CI=true.
tools: browser
	@command -v ffmpeg || \
	{ [ "$$(id -u)" = 0 ] && command -v apt-get && apt-get update --quiet && apt-get install --quiet --yes ffmpeg; } || \
	echo "ffmpeg is not installed; the tests that compare with it are skipped."

.venv/app.done: requirements.txt constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) -r requirements.txt
	touch $@

.venv/dev.done: requirements-dev.txt .venv/app.done
	$(INSTALL) -r requirements-dev.txt
	touch $@

clean:
	rm -rf .venv web/node_modules .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist
