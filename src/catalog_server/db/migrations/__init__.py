"""Alembic's environment; the migrations themselves are in versions. db/migrate.py runs them."""
