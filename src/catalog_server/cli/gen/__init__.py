"""catalog-gen: begins a plugin package, checks one, raises its version (spec cli-and-ui.md 2)."""
