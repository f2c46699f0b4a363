"""The routers of all slices, in the order in which they match; only these are served. A router carries its whole path."""

from __future__ import annotations

from fastapi import APIRouter

from app.api_keys.routes import router as api_keys
from app.batches.routes import router as batches
from app.concept_libraries.routes import router as concept_libraries
from app.concept_sets.routes import router as concept_sets
from app.datasets.routes import router as datasets
from app.events.routes import router as events
from app.explanations.routes import posting as posted_explanations
from app.explanations.routes import router as explanations
from app.figures.routes import router as figures
from app.health.routes import router as health
from app.inference.routes import router as inference
from app.jobs.routes import router as jobs
from app.leaderboard.routes import router as leaderboard
from app.models.routes import router as models
from app.predictors.routes import router as predictors
from app.profiles.routes import router as profiles
from app.quotas.routes import router as quotas
from app.results.routes import comparison
from app.results.routes import router as results
from app.shares.routes import router as shares
from app.studies.figures import router as study_answers
from app.studies.routes import router as studies
from app.submission.routes import router as submission
from app.uploads.routes import router as uploads
from app.webhooks.routes import router as webhooks

ROUTERS: tuple[APIRouter, ...] = (
    uploads,
    models,
    datasets,
    concept_sets,
    submission,
    jobs,
    events,
    results,
    comparison,
    explanations,
    posted_explanations,
    batches,
    figures,  # before profiles: a class name may look like a file name
    profiles,
    predictors,
    inference,
    concept_libraries,
    studies,
    study_answers,
    shares,
    leaderboard,
    api_keys,
    webhooks,
    quotas,
    health,
)
