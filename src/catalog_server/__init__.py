"""catalog-server: one self-hosted server that catalogs the AI assets of an organisation."""

__version__ = "0.9.0"
