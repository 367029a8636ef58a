# Everything on a machine without ROS; it requires Python 3.10 to 3.14 and nothing else.
#   make demo [VIDEO=file|folder|0] [SECONDS_TO_RUN=20]    live table; images and data in demo_output/
#   make dashboard [VIDEO=…|none] [PORT=8080]              a web page, until Ctrl-C
#   make bench                                             all benchmarks, about 20 minutes; writes docs/benchmarks.md
#   make soak [MINUTES=30]                                 stability over time; writes docs/soak.md and its figure
#   make test [TESTS=test] [WORKERS=4]                     lint and the whole test suite
#   make test-fast                                         lint and the tests that start no programs and no browser
#   make lint                                              style, docstrings and types
#   make quick [PYTHON=python3.13 VENV=.venv-3.13]         what differs between Pythons, in two minutes
VIDEO ?=
SECONDS_TO_RUN ?= 20
PORT ?= 8080
TESTS ?= test
BENCH ?=
MINUTES ?= 30
# Most tests wait for programs, so there may be more processes than cores.
WORKERS ?= 4
VENV := .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
# Local processes only, in a separate domain, and the ROS wheels where rclpy and colcon search for them.
export ROS_AUTOMATIC_DISCOVERY_RANGE := LOCALHOST
export ROS_DOMAIN_ID := $(shell echo $$(( $$$$ % 80 + 20 )))
export AMENT_PREFIX_PATH := $(CURDIR)/$(VENV)
# Variables of a sourced ROS installation, or of a Python with ROS wheels that runs make; .venv has its own.
unexport PYTHONPATH LD_LIBRARY_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE

# Detectors, decoders, files, and the programs as processes: what OpenCV, NumPy and the ROS line decide.
QUICK := test/perception/test_blazeface.py test/perception/test_detection.py test/perception/test_search.py \
	test/msfernet/test_golden.py test/media/test_frame_sources.py test/test_fastdds.py test/nodes/test_image_conversion.py \
	test/nodes/test_network_use.py test/recordings/test_frame_readers.py test/tools/test_install_models.py \
	test/media/test_video_file.py test/media/test_video_writer.py test/recordings/test_packet_topics.py

.PHONY: demo dashboard test test-fast quick lint bench soak clean
.DEFAULT_GOAL := test

demo: $(INSTALLED)
	@$(RUN) -m fer_ros.tools.demo --video "$(VIDEO)" --seconds "$(SECONDS_TO_RUN)"

dashboard: $(INSTALLED)
	@$(RUN) -m fer_ros.tools.demo --dashboard --video "$(VIDEO)" --port "$(PORT)"

test: lint
	$(RUN) -m pytest -q -n $(WORKERS) $(TESTS)

test-fast: lint
	$(RUN) -m pytest -q -n $(WORKERS) -m 'not processes' $(TESTS)

quick: $(INSTALLED)
	$(VENV)/bin/mypy
	$(RUN) -m pytest -q $(QUICK)

lint: $(INSTALLED)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

bench: $(INSTALLED)
	$(RUN) -m benchmarks.report $(BENCH)

soak: $(INSTALLED)
	$(RUN) -m benchmarks.soak --minutes "$(MINUTES)" --docs docs/soak.md

$(INSTALLED): $(wildcard requirements/*.txt)
	@sh .ci/environment $(VENV)
	@touch $@

clean:
	rm -rf build install log demo_output $(VENV) .venv-3.*
