"""Knowledge sources: documents, URLs, vector stores and graph stores that agents may retrieve from."""

from __future__ import annotations

from typing import Annotated

from catalog_server.plugin_api import UNSET, Entity, Integer, Kind, Plugin, mark

SOURCE_TYPES = ("document", "url", "vector_store", "graph_store")
STATUSES = ("active", "indexing", "error", "archived")


class KnowledgeSource(Entity):
    """A body of knowledge (spec plugins.md 1.3)."""

    source_type: Annotated[
        str, mark(label="Type", width="md", filter=True, options=SOURCE_TYPES, section="Overview", facet=True, cli=True)
    ] = ""
    provider: Annotated[str, mark(width="md", filter=True, section="Overview", search=True, facet=True, cli=True)] = ""
    status: Annotated[
        str, mark(width="sm", filter=True, options=STATUSES, section="Overview", display="badge", facet=True, cli=True)
    ] = ""
    location: Annotated[str, mark(section="Connection", hidden_option=True)] = ""
    document_count: Annotated[Integer, mark(label="Documents", width="sm", section="Statistics", cli=True)] = UNSET
    content_type: Annotated[str, mark(width="md", sortable=False, section="Connection")] = ""
    index_type: Annotated[str, mark(section="Connection")] = ""
    vector_dimensions: Annotated[Integer, mark(section="Statistics")] = UNSET


plugin = Plugin(
    name="knowledge",
    display_name="Knowledge Sources",
    description="Documents, vector stores and graph stores that agents retrieve from",
    icon="database",
    kind=Kind(
        name="KnowledgeSource",
        plural="knowledgesources",
        entity=KnowledgeSource,
        display_name="Knowledge Source",
        noun="knowledge source",
    ),
)
