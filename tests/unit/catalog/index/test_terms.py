"""The vocabulary as it is gathered, against counting by hand."""

from __future__ import annotations

from pyroaring import BitMap

from catalog_server.catalog.index.terms import TermsBuilder


def test_words_when_gathered_in_portions_stand_at_each_of_their_positions_once() -> None:
    """A word that a text holds twice, and one that several texts hold, in one portion or in two."""
    builder = TermsBuilder()
    builder.add_words(0, ["b a  a", "", "c"])
    builder.add_words(3, ["a", "d b d d"])
    terms = builder.build()
    assert {text: terms.positions(text) for text in terms.texts()} == {
        "a": BitMap([0, 3]),
        "b": BitMap([0, 4]),
        "c": BitMap([2]),
        "d": BitMap([4]),
    }
    assert terms.posting("d") == 4


def test_words_when_a_text_is_asked_for_that_is_not_there_stay_as_they_are() -> None:
    """Readers share the vocabulary, which grows by no look-up of theirs."""
    builder = TermsBuilder()
    builder.add_words(0, ["a"])
    terms = builder.build()
    assert terms.positions("b") == BitMap()
    assert terms.ids == {"a": 0}


def test_terms_when_nothing_was_gathered_are_empty() -> None:
    terms = TermsBuilder().build()
    assert len(terms) == 0
    assert terms.positions("a") == BitMap()
