"""IISClient: all calls of the API. Each resource has its module in iis_client.resources."""

from __future__ import annotations

from iis_client.resources.api_keys import ApiKeys
from iis_client.resources.batches import Batches
from iis_client.resources.concept_libraries import ConceptLibraries
from iis_client.resources.concept_sets import ConceptSets
from iis_client.resources.explanations import Explanations
from iis_client.resources.finetuning import Finetuning
from iis_client.resources.jobs import Jobs
from iis_client.resources.models_and_datasets import ModelsAndDatasets
from iis_client.resources.predictors import Predictors
from iis_client.resources.references import References
from iis_client.resources.shares import Shares
from iis_client.resources.studies import Studies
from iis_client.resources.webhooks import Webhooks


class IISClient(
    ModelsAndDatasets,
    ConceptSets,
    Jobs,
    ConceptLibraries,
    Explanations,
    Predictors,
    Batches,
    Finetuning,
    Studies,
    ApiKeys,
    Webhooks,
    Shares,
    References,
):
    """A connection to one service with one API key.

    Calls return models of iis_schemas. Arguments that name a resource accept its id or its model.

    Parameters
    ----------
    base_url : of the service; default: IIS_URL, else the profile of `iis login`, else the service that `iis up` started
    api_key : `iis_…`; default: IIS_API_KEY, else that of the profile, or the first key of that service

    Raises
    ------
    ConfigurationError
        When no address is given and no local stack runs, or the key is missing.

    Examples
    --------
    >>> with IISClient() as iis:  # doctest: +SKIP
    ...     model = iis.wait_until_ready(iis.create_model("timm:resnet18", checkpoint="resnet18.safetensors"))
    ...     data = iis.wait_until_ready(iis.create_dataset("cifar10/"))
    ...     job = iis.wait(iis.score(model, data, {"kind": "cluster", "concept_count": 200}))
    ...     print(iis.result(job).report.iis)
    ...     print(iis.explain(job, "cat.png").supporting)
    """
