"""An explanation for a terminal: what was said, the concepts for and against, and sentences on how far to trust that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from iis_client.cli.output.concepts import known_as
from iis_client.types.explanations import Contribution, Explanation, RemovedConcept, Verdict

BAR_CELLS = 24
EIGHTHS = " ▏▎▍▌▋▊▉"
FULL_CELL = "█"
FOR, AGAINST = "red", "blue"  # as in heat maps
OTHERS_SHOWN, LEAST_SHOWN = 2, 0.0005  # classes after the first, and what three decimals can show of one
OPPOSITE = " (its opposite)"  # of a concept whose activation is negative: the representation points away from it
MOST_REMOVED = 3  # concepts that the sentence on faithfulness takes away


def explanation_view(explanation: Explanation) -> Iterator[RenderableType]:
    """The whole of an explanation, in the order in which it is read."""
    yield verdict_table(explanation)
    yield contribution_table(explanation)
    yield from explanation_sentences(explanation)


def verdict_table(explanation: Explanation) -> Table:
    """What representation and interpretation say, and what is true where that is known."""
    image, correct = explanation["image"], explanation["correct"]
    name = image["name"] or f"Image {image['id']}"
    table = Table("", "class", "probability", "then", title=Text(name + (f", a test image of {image['label']}" if image["label"] else "")))
    read = f"Interpretation, {explanation['kept']} of {explanation['concept_count']} concepts"
    table.add_row("Representation", *_verdict(explanation["representation"], correct is None or correct["representation"]))
    table.add_row(read, *_verdict(explanation["interpretation"], correct is None or correct["interpretation"]))
    return table


def contribution_table(explanation: Explanation) -> Table:
    """The concepts for and against with a bar for each, and what adds up to the logit."""
    listed = [*explanation["supporting"], *explanation["opposing"]]
    others = [("bias", explanation["bias"])]
    if explanation["remaining"]:
        others.insert(0, (f"{explanation['remaining']} other{'s' if explanation['remaining'] > 1 else ''}", explanation["remainder"]))
    largest = max(abs(value) for value in (*(one["contribution"] for one in listed), *(value for _, value in others)))
    contrast = explanation["contrast"]
    asked = f"Why {explanation['explained']['class']}" + (f" rather than {contrast['class']}" if contrast is not None else "")
    columns = (
        "",
        "concept",
        Column("activation", justify="right", no_wrap=True),
        Column("contribution", justify="right", no_wrap=True),
        Column("", width=BAR_CELLS),
    )
    table = Table(*columns, title=Text(asked))
    for group in (explanation["supporting"], explanation["opposing"]):
        for one in group:
            share = one["contribution"]
            name = Text(str(one["concept"])), Text(known_as(one) + (OPPOSITE if one["activation"] < 0 else ""))
            table.add_row(*name, f"{one['activation']:.2f}", f"{share:+.3f}", _bar(share, largest), end_section=one is group[-1])
    for words, value in others:
        table.add_row("", words, "", f"{value:+.3f}", _bar(value, largest), end_section=words == "bias")
    table.add_row("", Text(_logit_words(explanation)), "", f"{explanation['logit']:+.3f}", "")
    return table


def explanation_sentences(explanation: Explanation) -> Iterator[str]:
    """How faithful it is, what would change the answer, and what heat maps are worth here."""
    yield faithfulness_sentence(explanation)
    yield counterfactual_sentence(explanation)
    yield heat_map_sentence(explanation)


def faithfulness_sentence(explanation: Explanation) -> str:
    """What becomes of the explained class without its most important concepts, and without as many random ones."""
    curve, explained = explanation["faithfulness"], explanation["explained"]["class"]
    place = max(place for place, count in enumerate(curve["counts"]) if count <= MOST_REMOVED)
    count = curve["counts"][place]
    before, after, by_chance = curve["deletion"][0], curve["deletion"][place], curve["deletion_random"][place]
    concepts = f"{count} most important concepts" if count > 1 else "most important concept"
    random = f"{count} random ones" if count > 1 else "a random one"
    way = "stays" if f"{before:.2f}" == f"{after:.2f}" else "falls" if after < before else "rises"
    moved = f"the probability of {explained} {way} {'at' if way == 'stays' else f'from {before:.2f} to'} {after:.2f}"
    return f"Without its {concepts} {moved}; without {random} it is {by_chance:.2f}."


def counterfactual_sentence(explanation: Explanation) -> str:
    """The fewest concepts without which it would say something else."""
    found, explained = explanation["counterfactual"], explanation["explained"]["class"]
    if found is None:
        return f"Whatever concepts are taken away, it stays {explained}."
    against = {one["concept"] for one in (*explanation["supporting"], *explanation["opposing"]) if one["activation"] < 0}
    removed = _listed([named(one, opposite=one["concept"] in against) for one in found["removed"]])
    return f"Without {removed} it would be {found['class']} ({found['probability']:.2f})."


def heat_map_sentence(explanation: Explanation) -> str:
    """How exactly heat maps show where a concept is."""
    return f"Heat maps: {explanation['heatmaps']['note']}"


def named(one: Contribution | RemovedConcept, *, opposite: bool) -> str:
    """A concept within a sentence."""
    return (f"“{one['label']}”" if one["label"] else f"concept {one['concept']}") + (OPPOSITE if opposite else "")


def _logit_words(explanation: Explanation) -> str:
    contrast, explained = explanation["contrast"], explanation["explained"]["class"]
    return f"logit of {explained}, centred" if contrast is None else f"{explained} ahead of {contrast['class']}"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _verdict(verdict: Verdict, right: bool) -> tuple[Text, str, Text]:
    said = Text(verdict["class"] + ("" if right else " (wrong)"), style="" if right else "yellow")
    others = [one for one in verdict["top"] if one["index"] != verdict["index"] and one["probability"] >= LEAST_SHOWN]
    then = ", ".join(f"{one['class']} {one['probability']:.3f}" for one in others[:OTHERS_SHOWN])
    return said, f"{verdict['probability']:.3f}", Text(then)


def _bar(value: float, largest: float) -> Text:
    """A bar as long as the value is large, in eighths of a cell."""
    eighths = round(8 * BAR_CELLS * abs(value) / largest) if largest else 0
    whole, part = divmod(eighths, 8)
    return Text(FULL_CELL * whole + EIGHTHS[part].strip(), style=FOR if value > 0 else AGAINST)
