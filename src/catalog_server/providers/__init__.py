"""Where a source's files come from: one module per provider type."""
