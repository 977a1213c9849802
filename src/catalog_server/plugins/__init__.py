"""The built-in plugins: one folder each, discovered by catalog/registry.py; there is no list to edit."""
