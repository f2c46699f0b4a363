"""How much of each thing the service takes, and in which form: what a study's file is held against before anything is sent."""

from __future__ import annotations

import re

from iis_client.types.scores import Library

MAX_JOBS = 10_000  # of a study; more entries in one list could not stand in its grid
MAX_LIBRARIES = 64  # and grids of sparsities
MAX_PARTS = 16  # of a combined library
MAX_SPARSITIES = 64  # of one grid
MIN_CONCEPTS, MAX_CONCEPTS = 2, 20_000
MAX_SEED = 2**31 - 1
MAX_IMAGES_PER_CLASS = 1000
MAX_DEADLINE_SECONDS = 7 * 86_400.0

MAX_NAME = 200  # characters of a name, a label, a family
MAX_ID = 64
MAX_SERVER_PATH = 4096
MAX_LAYER = 500
MAX_ARCHITECTURE = 250
MAX_ARGUMENTS = 64
MIN_INPUT_SIZE, MAX_INPUT_SIZE = 8, 4096

ARCHITECTURE_FAMILIES = ("timm", "torchvision", "open_clip", "onnx")
VLM_FAMILIES = ("open_clip", "onnx")
INTERPOLATIONS = ("bilinear", "bicubic", "nearest")

PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,199}")
TAG = re.compile(r"[A-Za-z0-9_.\-]{1,200}")
HUB_NAME = re.compile(r"(?=.{1,200}$)[A-Za-z0-9][A-Za-z0-9_.\-]*(/[A-Za-z0-9][A-Za-z0-9_.\-]*)?")
HUB_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-/]{0,199}")

LIBRARY_DEFAULTS: Library = {"concept_count": 200}
TEXT_DEFAULTS: Library = {"clip_cutoff": 0.25, "interpretability_cutoff": 0.45, "native": False}
"""What the service takes for what is left out, so that one library said in two ways is known for one."""
