# env: the environment alone. quick: the laptop-scale pipeline, to the end. all: the paper's scale. test, lint: what CI runs.
# test-faults: kills, full disks, failing networks, a real Slurm; a few minutes on two cores.
# bench: how fast it is, compared with other libraries and plain loops, as docs/benchmarks.md; seven minutes on two cores.
# gpu: tests and measures a CUDA device, as docs/gpu.md; three minutes.
# Each works on a fresh clone with Python 3.11 to 3.13, git and make: it makes .venv and installs the locked dependencies.
SHELL := /bin/bash
PYTHON ?= python3
# As many as this process may use, of a container's CPU quota whole ones.
CPU_MAX := /sys/fs/cgroup/cpu.max
CORES ?= $(shell \
	cores=$$(env -u OMP_NUM_THREADS nproc 2>/dev/null || getconf _NPROCESSORS_ONLN); \
	read -r quota period 2>/dev/null <$(CPU_MAX) && [ $$quota != max ] || { quota=$$cores; period=1; }; \
	quota=$$((quota < period ? 1 : quota / period)); \
	echo $$((quota < cores ? quota : cores)))
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PYTHONUNBUFFERED := 1
# With this set, every job would compile torch's Python files again, which takes longer than many jobs.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: env quick all test test-faults lint bench gpu lock clean

env: .venv/installed

quick: .venv/installed
	snakemake --cores $(CORES) --configfile config/quick.yaml -- all
	snakemake --configfile config/quick.yaml --report results/quick/report.html -- all

all: .venv/installed
	snakemake --cores $(CORES) -- all
	snakemake --report results/report.html -- all

test: .venv/installed
	pytest -n logical --dist worksteal

test-faults: .venv/installed
	pytest -n logical --dist loadfile --no-loadscope-reorder tests/faults/test_slurm.py tests/faults

lint: .venv/installed
	ruff check .
	ruff format --check .
	snakefmt --check --format-shell .
	mypy src benchmarks
	snakemake --lint

bench: .venv/installed
	snakemake --cores 1 -- data/mnist/{train-images-idx3,train-labels-idx1,t10k-images-idx3,t10k-labels-idx1}-ubyte
	PYTHONPATH=src python -m benchmarks.bench --data data/mnist --results results/benchmarks --page docs/benchmarks.md

gpu: .venv/installed
	snakemake --cores 1 -- data/mnist/{train-images-idx3,train-labels-idx1,t10k-images-idx3,t10k-labels-idx1}-ubyte
	PYTHONPATH=src python -m benchmarks.gpu --data data/mnist --results results/benchmarks --page docs/gpu.md

# Update the lock from pyproject.toml.
lock: .venv/installed
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --extra workflow --extra dev \
		--output-file envs/requirements.lock pyproject.toml

clean:
	rm -rf .venv .snakemake results/quick

.venv/installed: envs/requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "Python 3.11 to 3.13 is needed: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check uv
	VIRTUAL_ENV=$(CURDIR)/.venv .venv/bin/uv pip install --quiet --require-hashes --requirement envs/requirements.lock
	touch $@
