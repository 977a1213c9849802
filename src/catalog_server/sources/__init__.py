"""The sources configuration: its shape, parsing, merging, paths and patterns. What loads a source is catalog."""
