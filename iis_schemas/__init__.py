"""The wire format of the service: every request, every answer and the study file as pydantic models.

The API (`app`) and the client (`iis_client`) both import this package, which imports pydantic alone. Each resource has a module:

names              enumerations: library kinds, protocols, states, scopes, event types
numbers, fields    numbers of request bodies; fields that several requests share
stored             base of the answers that the service keeps as JSON
pages, problems    a page of a list; the body of an error (RFC 9457)
uploads, models, datasets, concept_sets, concept_libraries
libraries          the concept library that a job asks for
jobs, job_views    a job as it is requested; a job as it is shown
finetuning         a fine-tuning job as it is requested; its result: finetune_results
results, reports, curves, plots, batches, explanations, interventions, profiles, predictors
studies, study_views, study_analyses, leaderboard
study_grids, study_rules       the cells of a study's grid; rules that need no database
study_file, study_sources      the YAML file of a study; faults: a ValidationError as sentences
api_keys, quotas, webhooks, events, health

Requests forbid unknown fields. Answers of a newer service may have more fields than are known here: read them with
`Model.model_validate_json(body, extra="allow")`, which keeps what is unknown in `model_extra`.
"""
