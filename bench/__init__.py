"""Measures speed and memory of the server against a raw ASGI function of the same run. Not part of the package."""
