"""Notes on inputs: order, repetitions, bounds, and their collection for a score."""

from __future__ import annotations

from iis_engine.notes import NOTE_CHARACTERS_MAX, NOTES_MAX, Notes, notes_of_inputs


def test_notes_keep_their_order_and_drop_repetitions() -> None:
    notes = Notes(["First.", "Second."])
    notes.add("First.")
    notes.extend(["Third.", "Second."])
    assert notes.sentences == ("First.", "Second.", "Third.")


def test_names_from_files_cannot_break_a_line_or_move_the_cursor() -> None:
    assert Notes(["The key 'a\n\x1b[2Jb' was left out."]).sentences == ("The key 'a \\x1b[2Jb' was left out.",)
    assert len(Notes(["x" * 10_000]).sentences[0]) == NOTE_CHARACTERS_MAX + 3


def test_notes_above_the_limit_are_counted() -> None:
    sentences = Notes(f"Note {number}." for number in range(NOTES_MAX + 7)).sentences
    assert len(sentences) == NOTES_MAX + 1
    assert sentences[-1] == "7 more notes were left out."


def test_notes_of_a_score_name_their_input() -> None:
    collected = notes_of_inputs([("Model", ["A.", "B."]), ("Data set", []), ("Vision-language model", ["A."])])
    assert collected == ("Model: A.", "Model: B.", "Vision-language model: A.")
