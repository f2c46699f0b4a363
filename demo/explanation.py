"""Two predictions for the demo to explain: one that the interpretation gets right, and one that it gets wrong. Asks the service alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import RenderableType

from iis_client.cli.output.explanations import contribution_table, counterfactual_sentence, faithfulness_sentence, heat_map_sentence, named
from iis_client.client import IISClient
from iis_client.types.explanations import Explanation

CONCEPTS_LISTED, LEAST_LISTED = 4, 0.005  # concepts in a sentence, and what two decimals can show of one


def explain_two(client: IISClient, job: str, sheet: Path) -> Iterator[RenderableType]:
    """The first test image that is read right and the first that is not, in a few lines each; the right one's figure goes to `sheet`."""
    outcomes = list(client.explanations(job))
    right = next((one for one in outcomes if one["interpretation"]["class"] == one["label"]), None)
    if right is not None:
        explanation = client.explain(job, right["index"], top=CONCEPTS_LISTED)
        sheet.parent.mkdir(parents=True, exist_ok=True)
        sheet.write_bytes(client.explanation_sheet(job, right["index"]))
        said = f"says {explanation['interpretation']['class']} with probability {explanation['interpretation']['probability']:.2f}"
        yield f"Of {right['name']} the interpretation {said}, by {explanation['kept']} of {explanation['concept_count']} concepts."
        yield contribution_table(explanation)
        yield f"{faithfulness_sentence(explanation)}\n{counterfactual_sentence(explanation)}\n{heat_map_sentence(explanation)}"
        yield f"The same as a figure is in {sheet}. To see others: iis explain {job} IMAGE (a file, or 0 to {outcomes[-1]['index']})"
    wrong = next((one for one in outcomes if one["interpretation"]["class"] != one["label"]), None)
    if wrong is not None:
        yield _why_wrong(client.explain(job, wrong["index"], contrast=wrong["label"], top=CONCEPTS_LISTED))


def _why_wrong(explanation: Explanation) -> str:
    """What spoke for the wrong class rather than for the true one."""
    said, true = explanation["interpretation"], explanation["image"]["label"]
    visible = [one for one in explanation["supporting"] if one["contribution"] >= LEAST_LISTED]
    spoke = ", ".join(f"{named(one, opposite=one['activation'] < 0)} {one['contribution']:+.2f}" for one in visible)
    taken = f"It takes {explanation['image']['name']} for {said['class']} ({said['probability']:.2f})."
    return f"{taken} For {said['class']} rather than {true} speak: {spoke or 'no concepts visibly'}."
