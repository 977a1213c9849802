"""A checked filter -> the positions that satisfy it."""

from __future__ import annotations

from pyroaring import BitMap

from catalog_server.catalog.index.column import Column
from catalog_server.catalog.index.index import Index
from catalog_server.catalog.index.layout import values_at_path
from catalog_server.catalog.index.table import Table
from catalog_server.catalog.index.terms import EMPTY
from catalog_server.query.checker import All, AnyOf, Condition, Negation, Resolved, SameChild
from catalog_server.query.nodes import Operator
from catalog_server.query.predicate import matches

# For so few candidates, looking at each value is cheaper than making a bitmap of all that satisfy the condition.
_FEW = 48
_UNKNOWN = 1 << 30


def evaluate(filter_: Resolved, index: Index) -> BitMap:
    """Positions of the entities that satisfy the filter."""
    return _Evaluation(index, index.table).run(filter_, None) & index.table.live


def evaluate_children(filter_: Resolved, index: Index, collection: str) -> BitMap:
    """Positions of the children of one collection that satisfy a filter on the children themselves."""
    table = index.children[collection].table
    return _Evaluation(index, table).run(filter_, None) & table.live


def reads_documents(filter_: Resolved, index: Index) -> bool:
    """Whether the filter asks for a field that is not indexed, so that documents have to be decoded."""
    match filter_:
        case All(terms) | AnyOf(terms):
            return any(reads_documents(term, index) for term in terms)
        case Negation(term) | SameChild(term=term):
            return reads_documents(term, index)
        case Condition():
            table = index.table if filter_.field.child is None else index.children[filter_.field.child].table
            return _column(filter_, table) is None and not _is_unused_property(filter_, table)


def match_words(words: list[str], index: Index) -> BitMap:
    """Positions of the entities in whose search fields every word occurs, as part of a word or whole."""
    found: BitMap | None = None
    for word in sorted(set(words), key=len, reverse=True):
        at = index.words.union(index.words.containing(word))
        found = at if found is None else found & at
        if not found:
            break
    return index.table.live if found is None else found & index.table.live


class _Evaluation:
    """One run over one table. `candidates`: positions that other conditions left; None for all."""

    def __init__(self, index: Index, table: Table) -> None:
        self._index = index
        self._table = table

    def run(self, node: Resolved, candidates: BitMap | None) -> BitMap:
        match node:
            case All(terms):
                return self._all(terms, candidates)
            case AnyOf(terms):
                return BitMap.union(EMPTY, *(self.run(term, candidates) for term in terms))
            case Negation(term):
                within = self._table.live if candidates is None else candidates
                return within - self.run(term, candidates)
            case SameChild(child, term):
                children = self._index.children[child]
                return children.parents_of(_Evaluation(self._index, children.table).run(term, None))
            case Condition():
                return self._condition(node, candidates)

    def _all(self, terms: tuple[Resolved, ...], candidates: BitMap | None) -> BitMap:
        """The most selective term first; each following one looks only at what is left."""
        for term in sorted(terms, key=self._cost):
            found = self.run(term, candidates)
            candidates = found if candidates is None else candidates & found
            if not candidates:
                break
        assert candidates is not None
        return candidates

    def _cost(self, term: Resolved) -> int:
        if not isinstance(term, Condition):
            return _UNKNOWN + 1
        column = _column(term, self._table)
        if column is None:
            return _UNKNOWN + 2
        estimate = column.estimate(term)
        return _UNKNOWN if estimate is None else estimate

    def _condition(self, condition: Condition, candidates: BitMap | None) -> BitMap:
        column = _column(condition, self._table)
        if column is None:
            return self._without_column(condition, candidates)
        if candidates is not None and len(candidates) <= _FEW:
            return BitMap([position for position in candidates if column.accepts(condition, position)])
        if condition.operator is Operator.IS_NULL:
            present = Condition(condition.field, Operator.IS_NOT_NULL, None, condition.only)
            return self._table.live - column.select(present)
        return column.select(condition)

    def _without_column(self, condition: Condition, candidates: BitMap | None) -> BitMap:
        within = self._table.live if candidates is None else candidates
        if _is_unused_property(condition, self._table):
            return within if condition.operator is Operator.IS_NULL else BitMap()
        keys = tuple(_own_name(condition).split("."))
        documents = self._table.documents
        return BitMap([p for p in within if matches(condition, values_at_path(documents[p], keys))])


def _own_name(condition: Condition) -> str:
    """The field's name inside its own table."""
    child = condition.field.child
    return condition.field.name if child is None else condition.field.name.removeprefix(f"{child}.")


def _column(condition: Condition, table: Table) -> Column | None:
    return table.column(_own_name(condition))


def _is_unused_property(condition: Condition, table: Table) -> bool:
    """A custom property without a column: no entity has it, unless there are more than get columns."""
    name = _own_name(condition)
    return name.startswith("customProperties.") and not table.has_overflow and "." not in name.partition(".")[2]
