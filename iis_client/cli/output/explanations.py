"""Tables and sentences of an explanation: predictions, contributions, faithfulness, counterfactual, heat maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from iis_client.cli.output.concepts import concept_name

if TYPE_CHECKING:
    from iis_schemas.explanations.images import ContributionView, ExplanationView, HeadPrediction, LabelView, RemovedConcept

BAR_CELLS = 24
EIGHTHS = " ▏▎▍▌▋▊▉"
FULL_CELL = "█"
SUPPORTING, OPPOSING = "red", "blue"  # the colours of heat maps
MAX_RUNNERS_UP, MIN_PROBABILITY = 2, 0.0005  # a smaller probability prints as 0.000
OPPOSITE = " (its opposite)"  # suffix where the activation is negative: the representation points away from the concept
SHARES_OF_LABEL = 3  # concepts listed for each label of multi-label data
MAX_REMOVED = 3  # concepts removed in the sentence on faithfulness


def explanation_view(explanation: ExplanationView) -> Iterator[RenderableType]:
    """All tables and sentences of an explanation, in reading order."""
    yield class_prediction_table(explanation)
    if explanation.labels is not None:
        yield label_table(explanation.labels)
    yield contribution_table(explanation)
    yield from explanation_sentences(explanation)


def class_prediction_table(explanation: ExplanationView) -> Table:
    """Predictions of representation and interpretation, beside the true class where it is known."""
    image, correct = explanation.image, explanation.correct
    name = image.name or f"Image {image.id}"
    true = image.label or ", ".join(image.labels or ())
    column = "class" if explanation.labels is None else "most probable label"
    table = Table("", column, "probability", "runners-up", title=Text(name + (f", a test image of {true}" if true else "")))
    interpretation = f"Interpretation, {explanation.kept} of {explanation.concept_count} concepts"
    table.add_row("Representation", *_prediction_cells(explanation.representation, correct is None or correct.representation))
    table.add_row(interpretation, *_prediction_cells(explanation.interpretation, correct is None or correct.interpretation))
    return table


def label_table(labels: Sequence[LabelView]) -> Table:
    """One row per label of multi-label data: its probability, whether the image has it, and the concepts that carry it most."""
    table = Table("label", Column("probability", justify="right"), "has it", "largest contributions", title="Labels")
    for one in labels:
        largest = sorted((*one.supporting, *one.opposing), key=lambda share: -abs(share.contribution))[:SHARES_OF_LABEL]
        shares = ", ".join(f"{concept_name(share)} {share.contribution:+.2f}" for share in largest)
        true = "" if one.is_true is None else "yes" if one.is_true else "no"
        table.add_row(Text(one.class_), f"{one.probability:.3f}", true, Text(shares))
    return table


def contribution_table(explanation: ExplanationView) -> Table:
    """One row with a bar per supporting and opposing concept; the rows add up to the logit."""
    listed = [*explanation.supporting, *explanation.opposing]
    others = [("bias", explanation.bias)]
    if explanation.remaining:
        others.insert(0, (f"{explanation.remaining} other{'s' if explanation.remaining > 1 else ''}", explanation.remainder))
    largest = max(abs(value) for value in (*(one.contribution for one in listed), *(value for _, value in others)))
    contrast = explanation.contrast
    title = f"Why {explanation.explained.class_}" + (f" rather than {contrast.class_}" if contrast is not None else "")
    columns = (
        "",
        "concept",
        Column("activation", justify="right", no_wrap=True),
        Column("contribution", justify="right", no_wrap=True),
        Column("", width=BAR_CELLS),
    )
    table = Table(*columns, title=Text(title))
    for group in (explanation.supporting, explanation.opposing):
        for one in group:
            share = one.contribution
            name = Text(str(one.concept)), Text(concept_name(one) + (OPPOSITE if one.activation < 0 else ""))
            table.add_row(*name, f"{one.activation:.2f}", f"{share:+.3f}", _bar(share, largest), end_section=one is group[-1])
    for words, value in others:
        table.add_row("", words, "", f"{value:+.3f}", _bar(value, largest), end_section=words == "bias")
    table.add_row("", Text(_logit_words(explanation)), "", f"{explanation.logit:+.3f}", "")
    return table


def explanation_sentences(explanation: ExplanationView) -> Iterator[str]:
    """Sentences on faithfulness, the counterfactual and the heat maps."""
    yield faithfulness_sentence(explanation)
    yield counterfactual_sentence(explanation)
    yield heat_map_sentence(explanation)


def faithfulness_sentence(explanation: ExplanationView) -> str:
    """Change of the class probability when the most important concepts are removed, compared with random ones."""
    curve, explained = explanation.faithfulness, explanation.explained.class_
    place = max(place for place, count in enumerate(curve.counts) if count <= MAX_REMOVED)
    count = curve.counts[place]
    before, after, by_chance = curve.deletion[0], curve.deletion[place], curve.deletion_random[place]
    concepts = f"{count} most important concepts" if count > 1 else "most important concept"
    random = f"{count} random ones" if count > 1 else "a random one"
    change = "stays" if f"{before:.2f}" == f"{after:.2f}" else "falls" if after < before else "rises"
    moved = f"the probability of {explained} {change} {'at' if change == 'stays' else f'from {before:.2f} to'} {after:.2f}"
    return f"Without its {concepts} {moved}; without {random} it is {by_chance:.2f}."


def counterfactual_sentence(explanation: ExplanationView) -> str:
    """Smallest set of concepts whose removal changes the prediction, or takes the probability of a label across 1/2."""
    found, explained = explanation.counterfactual, explanation.explained.class_
    is_label = explanation.labels is not None
    if found is None and is_label:
        side = "above" if explanation.logit >= 0 else "below"
        return f"The probability of {explained} stays {side} 1/2 after any removal of concepts."
    if found is None:
        return f"No removal of concepts changes the prediction; it stays {explained}."
    opposite = {one.concept for one in (*explanation.supporting, *explanation.opposing) if one.activation < 0}
    removed = _join([concept_label(one, opposite=one.concept in opposite) for one in found.removed])
    if is_label:  # against its absence, the other class
        change, probability = ("rises above", found.probability) if found.class_ == explained else ("falls below", 1 - found.probability)
        return f"Without {removed} the probability of {explained} {change} 1/2 ({probability:.2f})."
    return f"Without {removed} the prediction would be {found.class_} ({found.probability:.2f})."


def heat_map_sentence(explanation: ExplanationView) -> str:
    """Accuracy of the heat maps."""
    return f"Heat maps: {explanation.heatmaps.note}"


def concept_label(one: ContributionView | RemovedConcept, *, opposite: bool) -> str:
    """Name or number of a concept within a sentence."""
    return (f"“{one.label}”" if one.label else f"concept {one.concept}") + (OPPOSITE if opposite else "")


def _logit_words(explanation: ExplanationView) -> str:
    contrast, explained = explanation.contrast, explanation.explained.class_
    if explanation.labels is not None:
        return f"logit of {explained}"
    return f"logit of {explained}, centred" if contrast is None else f"{explained} ahead of {contrast.class_}"


def _join(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _prediction_cells(prediction: HeadPrediction, right: bool) -> tuple[Text, str, Text]:
    label = Text(prediction.class_ + ("" if right else " (wrong)"), style="" if right else "yellow")
    others = [one for one in prediction.top if one.index != prediction.index and one.probability >= MIN_PROBABILITY]
    runners_up = ", ".join(f"{one.class_} {one.probability:.3f}" for one in others[:MAX_RUNNERS_UP])
    return label, f"{prediction.probability:.3f}", Text(runners_up)


def _bar(value: float, largest: float) -> Text:
    """Bar proportional to the magnitude of the value, in eighths of a cell."""
    eighths = round(8 * BAR_CELLS * abs(value) / largest) if largest else 0
    whole, part = divmod(eighths, 8)
    return Text(FULL_CELL * whole + EIGHTHS[part].strip(), style=SUPPORTING if value > 0 else OPPOSING)
