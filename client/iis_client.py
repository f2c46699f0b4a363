"""The service as Python calls, all under one name. Each group of calls is a module of its own."""

from __future__ import annotations

from client.batches import Batches
from client.concept_libraries import ConceptLibraries
from client.concept_sets import ConceptSets
from client.explanations import Explanations
from client.finetuning import Finetuning
from client.inputs import Inputs
from client.jobs import Jobs
from client.keys import Keys
from client.predictors import Predictors
from client.studies import Studies
from client.webhooks import Webhooks


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
