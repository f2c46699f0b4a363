"""Fill a migrated database with jobs of several owners, with results, summaries, studies and events, by SQL."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

import psycopg

from iis_schemas.fields import Elements
from iis_schemas.studies.requests import StudyGrid

OTHER_OWNERS = 3
MODELS, DATASETS, SEEDS = 250, 5, 5
STUDY_MODELS = 100
EVENTS_OF_A_JOB = 3
NODES = 22  # of a curve in a report
ENDS = ("", "_low", "_high")
LIBRARIES = ("cluster", "prototype", "nmf", "sae")

_OWNERS = "INSERT INTO owners (id, name) SELECT 'own_bench_' || n, 'an owner' FROM generate_series(1, %(others)s) n"
_MODELS = """
    INSERT INTO models (id, owner_id, name, architecture, arguments, state, digest)
    SELECT owner || '_mdl_' || lpad(n::text, 6, '0'), owner, 'net, epoch ' || n, 'timm:resnet18', '{}', 'ready', 'model ' || n
    FROM unnest(%(owners)s::text[]) owner, generate_series(1, %(models)s) n
"""
_DATASETS = """
    INSERT INTO datasets (id, owner_id, name, kind, split_seed, test_share, state, digest, info)
    SELECT owner || '_dst_' || n, owner, 'birds ' || n, 'images', 0, 0.2, 'ready', 'data set ' || n, '{"class_names": ["a", "b"]}'
    FROM unnest(%(owners)s::text[]) owner, generate_series(1, %(datasets)s) n
"""
# Half of the jobs are the first owner's. Each setting (library, data set) has all models, each with several seeds.
_JOBS = """
    INSERT INTO jobs (id, owner_id, kind, spec, name, tags, user_metadata, model_id, dataset_id, state, attempt, deadline_seconds,
        created_at, queued_at, running_at, claimed_at, finished_at, error)
    SELECT 'job_' || lpad(n::text, 10, '0'), owner, kind,
        CASE kind WHEN 'explain' THEN jsonb_build_object('job', 'job_' || lpad((n - 1)::text, 10, '0'), 'split', 'test', 'upload', NULL,
            'kept', 2, 'sparsity', 0.5, 'top', 8, 'contrast', NULL)
        ELSE %(spec)s::jsonb || jsonb_build_object('model', model, 'dataset', dataset, 'seed', k %% %(seeds)s,
            'library', jsonb_build_object('kind', library, 'concept_count', 200, 'parts', '[]'::jsonb)) END,
        CASE WHEN n %% 5 = 0 THEN 'run ' || n || ' of the sweep' WHEN n = 778 THEN 'the needle' END,
        CASE WHEN n %% 500 = 8 THEN ARRAY['rare'] ELSE '{}'::text[] END,
        CASE WHEN n %% 500 = 8 THEN '{"team": "a"}'::jsonb ELSE '{}' END,
        model, dataset, state, 1, 86400, at, at, at, at, at + interval '1 minute',
        CASE WHEN state = 'failed' THEN '{"code": "data_invalid", "message": "The images differ.", "param": null}'::jsonb END
    FROM generate_series(1, %(jobs)s) n
    CROSS JOIN LATERAL (SELECT CASE WHEN n %% 2 = 0 THEN 1 ELSE 2 + n / 2 %% (cardinality(%(owners)s::text[]) - 1) END AS place) AS turn
    CROSS JOIN LATERAL (SELECT (%(owners)s::text[])[place] AS owner, n / 2 / CASE place WHEN 1 THEN 1 ELSE 3 END AS k) AS whose
    CROSS JOIN LATERAL (SELECT
        owner || '_mdl_' || lpad((1 + k / %(seeds)s %% %(models)s)::text, 6, '0') AS model,
        owner || '_dst_' || (1 + k / (%(seeds)s * %(models)s) %% %(datasets)s) AS dataset,
        (%(libraries)s::text[])[1 + k / (%(seeds)s * %(models)s * %(datasets)s) %% cardinality(%(libraries)s::text[])] AS library,
        CASE WHEN n %% 100 = 2 THEN 'explain' WHEN n %% 40 = 4 THEN 'check_model' ELSE 'score' END AS kind,
        CASE WHEN n %% 400 = 6 THEN 'failed' ELSE 'succeeded' END AS state,
        now() - (%(jobs)s - n) * interval '1 minute' AS at) AS what
"""
_LIBRARIES = """
    INSERT INTO concept_libraries (id, owner_id, job_id, model_id, dataset_id, kind, settings, concept_count, dimension, artifact_key)
    SELECT replace(id, 'job_', 'lib_'), owner_id, id, model_id, dataset_id, 'cluster', '{}', 200, 512, id
    FROM jobs WHERE kind = 'score' AND state = 'succeeded'
"""
_RESULTS = """
    INSERT INTO results (job_id, library_id, report)
    SELECT id, replace(id, 'job_', 'lib_'), %(report)s::jsonb || jsonb_build_object('iis', iis, 'iis_low', iis - .01, 'iis_high', iis + .01)
    FROM (SELECT id, (hashtext(id) & 65535) / 65536.0 AS iis FROM jobs WHERE kind = 'score' AND state = 'succeeded') AS scored
"""
_STUDY = "INSERT INTO studies (id, owner_id, name, grid) VALUES (%(study)s, %(owner)s, 'all seeds', %(grid)s)"
_CELLS = """
    INSERT INTO study_cells (study_id, number, job_id, created, request_digest, model_id, dataset_id, library, concept_count, seed)
    SELECT %(study)s, row_number() OVER (ORDER BY id) - 1, id, true, id, model_id, dataset_id, 0, 200, (spec ->> 'seed')::int
    FROM jobs WHERE owner_id = %(owner)s AND kind = 'score' AND dataset_id = %(dataset)s AND model_id = ANY(%(models)s)
        AND spec -> 'library' ->> 'kind' = %(library)s
    ORDER BY id
"""
_EVENTS = """
    INSERT INTO job_events (job_id, type, data) SELECT id, 'state', jsonb_build_object('state', state, 'attempt', 1)
    FROM jobs, generate_series(1, %(events)s)
"""


@dataclass(frozen=True)
class Filled:
    """Ids of rows of the first owner, who has half of the jobs."""

    model: str
    dataset: str
    study: str
    job: str


def fill(database_url: str, jobs: int) -> Filled:
    """Insert the rows beside those of the only owner; `summarise_earlier` has to write the summaries.

    Parameters
    ----------
    database_url : of psycopg
    """
    with psycopg.connect(database_url) as connection:  # one transaction, since workers summarise jobs that they see without results
        found = connection.execute("SELECT id FROM owners").fetchall()
        owners = [found[0][0], *(f"own_bench_{number + 1}" for number in range(OTHER_OWNERS))]
        sizes = {"others": OTHER_OWNERS, "models": MODELS, "datasets": DATASETS, "seeds": SEEDS, "events": EVENTS_OF_A_JOB, "jobs": jobs}
        given = {**sizes, "owners": owners, "libraries": list(LIBRARIES), "spec": json.dumps(_spec()), "report": json.dumps(_report())}
        for statement in (_OWNERS, _MODELS, _DATASETS, _JOBS, _LIBRARIES, _RESULTS, _EVENTS):
            connection.execute(statement, given)
        models = [f"{owners[0]}_mdl_{number + 1:06}" for number in range(STUDY_MODELS)]
        dataset, study = f"{owners[0]}_dst_1", "std_bench"
        grid = _grid(models, dataset)
        connection.execute(_STUDY, {"study": study, "owner": owners[0], "grid": grid.model_dump_json()})
        cells = {"study": study, "owner": owners[0], "dataset": dataset, "models": models, "library": LIBRARIES[0]}
        connection.execute(_CELLS, cells)
    return Filled(models[0], dataset, study, f"job_{2 * (jobs // 4):010}")


def _spec() -> dict[str, Any]:
    return {"elements": Elements().to_spec(), "protocol": "exact", "activations": "calibrated", "vlm": None, "vocabulary": None}


def _report() -> dict[str, Any]:
    """A report of the size of a real one; its digits do not compress."""
    digits = random.Random(0)
    names = ("accuracy", "arr", "arr_chance_corrected")
    points = [{"sparsity": node / NODES} | {f"{name}{end}": digits.random() for name in names for end in ENDS} for node in range(NODES)]
    numbers = {f"{name}{end}": digits.random() for name in ("few_concepts_mean", "iis_log", "iis_chance_corrected") for end in ENDS}
    gains = {f"{name}{end}": digits.random() for name in ("iis", "gain", "few_gain") for end in ENDS}
    accuracy = {f"accuracy_representation{end}": 0.9 for end in ENDS} | {"chance": 0.1, "edition": 2, "quantity": "accuracy"}
    verdict = {"code": "reads_through_concepts", "sentence": "The representation reads through its concepts.", "next": []}
    return {**accuracy, **numbers, "points": points, "controls": {"isotropic": gains, "matched": gains}, "verdict": verdict, "warnings": []}


def _grid(models: list[str], dataset: str) -> StudyGrid:
    return StudyGrid.model_validate(
        {
            "models": [{"model": model, "label": None, "family": None, "accuracy": None, "epoch": None} for model in models],
            "datasets": [dataset],
            "libraries": [{"kind": LIBRARIES[0]}],
            "concept_counts": [200],
            "library_datasets": [None],
            "sparsity_grids": [],
            "seeds": list(range(SEEDS)),
            "protocol": "exact",
            "activations": "calibrated",
            "elements": {},
            "vlm": None,
            "vocabulary": None,
            "evolution": False,
            "deadline_seconds": None,
        }
    )
