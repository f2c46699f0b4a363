"""Notes on an input: what was assumed, chosen among several, converted or left out while it was read. Torch-free.

A note is one sentence. Backbones, image data sets and ready features carry theirs as `notes`, a tuple of sentences; every result of
them repeats these. A note changes no number. A warning, in contrast, says why a number may mislead.
"""

from __future__ import annotations

from collections.abc import Iterable

from iis_engine.errors import printable

NOTES_MAX = 40
"""Notes on one input; an uploaded file could cause one for each of its keys."""
NOTE_CHARACTERS_MAX = 600


class Notes:
    """Sentences in the order of `add`, without repetitions; bounded in number and length, since they quote names from uploaded files.

    Examples
    --------
    >>> notes = Notes()
    >>> notes.add("The prefix 'module.' was removed from 12 keys.")
    >>> notes.add("The prefix 'module.' was removed from 12 keys.")
    >>> notes.sentences
    ("The prefix 'module.' was removed from 12 keys.",)
    """

    def __init__(self, sentences: Iterable[str] = ()) -> None:
        self._sentences: dict[str, None] = {}
        self._left_out = 0
        self.extend(sentences)

    def add(self, sentence: str) -> None:
        """Append one sentence on one line, with control characters escaped; repetitions are dropped."""
        text = printable(" ".join(sentence.split()), NOTE_CHARACTERS_MAX)
        if text in self._sentences:
            return
        if len(self._sentences) < NOTES_MAX:
            self._sentences[text] = None
        else:
            self._left_out += 1

    def extend(self, sentences: Iterable[str]) -> None:
        """Append sentences in their order."""
        for sentence in sentences:
            self.add(sentence)

    @property
    def sentences(self) -> tuple[str, ...]:
        """All notes; the last one counts those above `NOTES_MAX`."""
        more = (f"{self._left_out} more notes were left out.",) if self._left_out else ()
        return (*self._sentences, *more)


def notes_of_inputs(notes: Iterable[tuple[str, Iterable[str]]]) -> tuple[str, ...]:
    """Collect the notes of a score from its inputs, each after the input's noun.

    Parameters
    ----------
    notes : pairs of an input's noun, such as `Model`, and its notes

    Examples
    --------
    >>> notes_of_inputs([("Model", ["the mean was assumed"]), ("Data set", [])])
    ('Model: the mean was assumed',)
    """
    return tuple(f"{noun}: {sentence}" for noun, sentences in notes for sentence in Notes(sentences).sentences)
