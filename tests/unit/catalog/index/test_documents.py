"""Documents in the spool: what a page joins is byte for byte what was written, wherever it lies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from catalog_server.catalog.index.documents import Documents, build_documents

COUNT = 40
SMALL, LARGE = 20, 60_000  # the latter do not stay in memory


def document(number: int, size: int) -> bytes:
    return b'{"n":%d,"x":"%b"}' % (number, b"x" * (size + number))


def build(folder: Path, size: int) -> Documents:
    empty = build_documents(folder)
    return empty.changed((number, document(number, size)) for number in range(COUNT))


def joined(documents: Documents, *positions: int) -> tuple[int, bytes]:
    """How many pieces, and what they are together."""
    parts = documents.joined(np.array(positions, dtype=np.uint32))
    return len(parts), b"".join(parts)


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_page_of_documents_that_lie_together_then_is_one_piece(tmp_path: Path, size: int) -> None:
    documents = build(tmp_path, size)
    for first, last in ((0, COUNT), (0, 1), (COUNT - 1, COUNT), (7, 27)):
        wanted = b",".join(document(number, size) for number in range(first, last))
        assert joined(documents, *range(first, last)) == (1, wanted)


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_page_of_scattered_documents_then_is_all_of_them_in_order(tmp_path: Path, size: int) -> None:
    documents = build(tmp_path, size)
    for positions in ((3, 2, 1), (0, 2), (COUNT - 1, 0), (5, 6, 8), (9, 9)):
        wanted = b",".join(document(number, size) for number in positions)
        assert joined(documents, *positions) == (len(positions), wanted)
    assert joined(documents) == (0, b"")


def test_documents_when_one_changes_then_both_views_show_their_own(tmp_path: Path) -> None:
    documents = build(tmp_path, SMALL)
    following = documents.changed([(4, b'{"other":1}'), (COUNT, b'{"new":1}'), (5, b"")])
    before = b",".join(document(number, SMALL) for number in (3, 4, 5))
    assert joined(documents, 3, 4, 5) == (1, before)
    assert joined(following, 3, 4, 6) == (3, b'%b,{"other":1},%b' % (document(3, SMALL), document(6, SMALL)))
    assert joined(following, 4, COUNT) == (1, b'{"other":1},{"new":1}')
    assert [following[at] for at in (3, 4, 5, COUNT)] == [document(3, SMALL), b'{"other":1}', b"", b'{"new":1}']


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_documents_when_arranged_then_the_order_is_one_piece_and_each_is_the_same(tmp_path: Path, size: int) -> None:
    documents = build(tmp_path, size)
    order = np.random.default_rng(1).permutation(COUNT).astype(np.uint32)
    arranged = documents.arranged(order, tmp_path)
    assert [arranged[at] for at in range(COUNT)] == [documents[at] for at in range(COUNT)]
    assert joined(arranged, *order) == (1, b",".join(document(number, size) for number in order.tolist()))
    assert arranged.arranged(order, tmp_path) is not arranged
    assert documents.arranged(np.arange(COUNT, dtype=np.uint32), tmp_path) is documents
    assert joined(arranged.changed([(3, b"{}")]), 3) == (1, b"{}")
