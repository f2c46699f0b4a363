"""The wire format of the service: every request, every answer and the study file as pydantic models.

The API (`app`) and the client (`iis_client`) both import this package, which imports pydantic alone. Each resource has a module:

names              enumerations: library kinds, protocols, states, scopes, event types
numbers, fields    numbers of request bodies; fields that several requests share
stored             base of the answers that the service keeps as JSON
pages, problems    a page of a list; the body of an error (RFC 9457); faults: a ValidationError as a sentence
uploads, models, datasets, concept_sets, concept_libraries, api_keys, quotas, webhooks, health
jobs/              requests of each kind of job, the concept library they ask for, views, events
results/           reports, curves, plots, results of fine-tuning, batches of explanations
explanations/      explanations of images, interventions, profiles, predictors
studies/           requests, the study file and its sources, grids and their rules, views, analyses, leaderboards

Requests forbid unknown fields. Answers of a newer service may have more fields than are known here: read them with
`Model.model_validate_json(body, extra="allow")`, which keeps what is unknown in `model_extra`.
"""
