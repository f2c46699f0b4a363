"""What the package promises to those who import it."""

from __future__ import annotations

import subprocess
import sys

import iis_client


def test_the_public_names_are_these_and_no_others() -> None:
    assert iis_client.__all__ == [
        "ApiKey",
        "BatchJob",
        "BatchResult",
        "Board",
        "CheckFailedError",
        "ClassProbability",
        "ClassProfile",
        "ClassRef",
        "ClassSummary",
        "Concept",
        "ConceptLibrary",
        "ConceptProfile",
        "ConceptSet",
        "ConceptSetMade",
        "ConceptSetVersion",
        "ConceptUse",
        "ConfigurationError",
        "ConflictError",
        "Contribution",
        "Curve",
        "Dataset",
        "Difference",
        "DroppedConcept",
        "DroppedPhrase",
        "Elements",
        "Epoch",
        "Event",
        "ExplainedRow",
        "Explanation",
        "FieldError",
        "FinetuneHistory",
        "FinetuneJob",
        "FinetuneLibrary",
        "FinetuneResult",
        "FinetuneRun",
        "ForbiddenError",
        "HeatMap",
        "IISClient",
        "IISError",
        "Intervention",
        "InvalidInputError",
        "Job",
        "JobCanceledError",
        "JobCounts",
        "JobFailedError",
        "Leaderboard",
        "LeaderboardEntry",
        "Library",
        "Lineage",
        "LocalFileError",
        "Model",
        "ModelEntry",
        "NewApiKey",
        "NotFoundError",
        "Outcome",
        "Phrase",
        "Point",
        "Prediction",
        "Predictor",
        "Quota",
        "Quotas",
        "Report",
        "Result",
        "ServiceError",
        "ServiceUnreachableError",
        "Study",
        "StudyAnalysis",
        "StudyCell",
        "StudyEstimate",
        "StudyGrid",
        "TooLargeError",
        "TooManyRequestsError",
        "UnauthorizedError",
        "UnavailableError",
        "Upload",
        "Verdict",
        "WaitTimeoutError",
        "Webhook",
        "WebhookDelivery",
        "WebhookWithSecret",
    ]
    assert all(hasattr(iis_client, name) for name in iis_client.__all__)


def test_importing_the_client_imports_nothing_of_the_service_and_no_torch() -> None:
    script = (
        "import sys, iis_client, iis_client.cli\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted({'app', 'worker', 'iis_engine', 'torch', 'numpy', 'fastapi', 'sqlalchemy'} & loaded))"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_the_docstring_of_errors_names_every_exception() -> None:
    from iis_client import errors

    exceptions = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    drawn = errors.__doc__ or ""
    assert {name for name in exceptions if name not in drawn} == set()
