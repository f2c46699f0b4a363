"""The service as Python calls, all under one name. Each group of calls is a module of its own."""

from __future__ import annotations

from iis_client.resources.api_keys import Keys
from iis_client.resources.batches import Batches
from iis_client.resources.concept_libraries import ConceptLibraries
from iis_client.resources.concept_sets import ConceptSets
from iis_client.resources.explanations import Explanations
from iis_client.resources.finetuning import Finetuning
from iis_client.resources.jobs import Jobs
from iis_client.resources.models_and_datasets import Inputs
from iis_client.resources.predictors import Predictors
from iis_client.resources.studies import Studies
from iis_client.resources.webhooks import Webhooks


class IISClient(Inputs, ConceptSets, Jobs, ConceptLibraries, Explanations, Predictors, Batches, Finetuning, Studies, Keys, Webhooks):
    """A connection to one service under one API key.

    Parameters
    ----------
    base_url : of the service; else IIS_URL, else the stack that `iis up` started on this machine
    api_key : `iis_…`; else IIS_API_KEY, else that stack's own first key

    Raises
    ------
    ConfigurationError
        When neither says where the service is.

    Examples
    --------
    >>> with IISClient() as client:  # doctest: +SKIP
    ...     model = client.create_model("timm:resnet18", checkpoint="resnet18.safetensors")
    ...     data = client.create_dataset("cifar10/")
    ...     job = client.score(model["id"], data["id"], {"kind": "cluster", "concept_count": 200})
    ...     print(client.wait(job["id"]), client.result(job["id"])["report"]["iis"])
    ...     print(client.explain(job["id"], "cat.png")["supporting"])
    """
