"""catalog-conformance: does a running server keep what the catalog API promises? (spec cli-and-ui.md 2.10, 2.11)"""
