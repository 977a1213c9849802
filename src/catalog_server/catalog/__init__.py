"""The domain: registry of plugins, loading of sources, the store's writer, and the index that answers all reads."""
