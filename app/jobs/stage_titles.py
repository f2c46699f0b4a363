"""Titles of the stages of jobs, which page and command line show. Every stage of a public job has one."""

from __future__ import annotations

from app.db.models import Json

STAGE_TITLES = {
    "materialise": "Fetching checkpoint and images",
    "extract": "Extracting features",
    "embed_images": "Embedding images with the vision-language model",
    "embed_phrases": "Embedding phrases",
    "embed_classes": "Embedding class names",
    "libraries": "Fitting the concept library",
    "name": "Naming concepts",
    "control": "Scoring random directions",  # of jobs before the second edition
    "isotropic": "Scoring any directions",
    "matched": "Scoring matched directions",
    "heads": "Fitting heads at every sparsity",
    "panel": "Measuring code, concepts and library",
    "curve": "Computing the ARR curve",
    "explain": "Finding images that show each concept",
    "predictors": "Storing the predictors",
    "report": "Writing the report",
    "unpack": "Unpacking the archive",
    "represent": "Computing the representations of the images",
    "explain_rows": "Explaining the images",
    "finetune": "Training",
    "evaluate": "Scoring the trained models",
    "compare": "Comparing the arms",
}


def with_title(stage_data: Json) -> Json:
    """Progress or the data of a stage's event, with the `title` of the stage and, where it has one, its part."""
    stage, part = stage_data["stage"], stage_data.get("part")
    title = STAGE_TITLES.get(stage, stage.replace("_", " ").capitalize())
    return {**stage_data, "title": title if part is None else f"{title}: {part}"}
