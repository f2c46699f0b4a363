"""Registry of stages and queries by name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from worker.handlers.dispatch import answer
from worker.handlers.study import answer_study
from worker.sandbox.messages import JsonObject
from worker.stages.batch_explanation import explain_rows, represent, unpack
from worker.stages.extraction import extract, materialise
from worker.stages.finetuning import compare, evaluate, finetune
from worker.stages.reporter import Reporter
from worker.stages.scoring import curve, explain, heads, isotropic, libraries, matched, panel, predictors, report
from worker.stages.seed_tasks import choose_strengths, measure_seeds
from worker.stages.shard_tasks import compute_shards, plan_shards
from worker.stages.text import clean_phrases, embed_classes, embed_images, embed_phrases, gather_phrases, name
from worker.stages.validation import check_dataset, check_model

StageFunction = Callable[[Path, JsonObject, Reporter], JsonObject]
"""A stage: (workspace, arguments, reporter) -> result. Files go in and out through the workspace."""


def prepare() -> None:
    """Import torch, which every stage needs, before the first request; leave out what no stage needs."""
    sys.modules["wandb"] = None  # pyright: ignore[reportArgumentType] (timm imports it where it is installed, which takes a second or more)
    import torch

    torch.set_grad_enabled(True)


STAGES: dict[str, StageFunction] = {
    stage.__name__: stage
    for stage in (
        *(check_model, check_dataset, gather_phrases, clean_phrases),
        *(plan_shards, compute_shards, choose_strengths, measure_seeds),
        *(materialise, extract, embed_images, embed_phrases, embed_classes),
        *(libraries, name, isotropic, matched, heads, panel, curve, explain, predictors, report, answer, answer_study),
        *(unpack, represent, explain_rows),
        *(finetune, evaluate, compare),
    )
}
