"""The entity store, its change feed, the refresh status of sources, and the migration lock.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa

from catalog_server.db.dialects import big_id, long_text, text, word
from catalog_server.db.migrations.steps import create_index, create_table

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_entities()
    _create_children()
    _create_feed()
    _create_status()
    create_table(  # which the lock of this very migration may have made
        "migration_lock",
        sa.Column("id", word(64), nullable=False),
        sa.Column("locked_at", sa.BigInteger, nullable=False),
        sa.Column("locked_by", text(255), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_migration_lock"),
    )


def _create_entities() -> None:
    create_table(
        "entities",
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("namespace", word(63), nullable=False),
        sa.Column("plugin", word(63), nullable=False),
        sa.Column("kind", word(63), nullable=False),
        sa.Column("source_id", word(128), nullable=False),
        sa.Column("name", text(512), nullable=False),
        sa.Column("document", long_text(), nullable=False),
        sa.Column("content_hash", word(64), nullable=False),
        sa.Column("origin", long_text(), nullable=False),
        sa.Column("line", sa.Integer, nullable=False),
        sa.Column("commit_sha", word(64)),
        sa.Column("job_id", word(36)),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_entities"),
        sa.UniqueConstraint("namespace", "plugin", "kind", "source_id", "name", name="uq_entities_identity"),
    )
    create_index("ix_entities_generation", "entities", ["namespace", "plugin", "generation"])


def _create_children() -> None:
    create_table(
        "entity_children",
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("namespace", word(63), nullable=False),
        sa.Column("plugin", word(63), nullable=False),
        sa.Column("entity_id", big_id(), nullable=False),
        sa.Column("kind", word(63), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("name", text(512), nullable=False),
        sa.Column("document", long_text(), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_entity_children"),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["entities.id"], name="fk_entity_children_entity_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("entity_id", "kind", "position", name="uq_entity_children_place"),
    )
    create_index("ix_entity_children_owner", "entity_children", ["namespace", "plugin", "entity_id"])


def _create_feed() -> None:
    create_table(
        "generations",
        sa.Column("namespace", word(63), nullable=False),
        sa.Column("plugin", word(63), nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("pruned_to", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("namespace", "plugin", name="pk_generations"),
    )
    create_table(
        "changes",
        sa.Column("namespace", word(63), nullable=False),
        sa.Column("plugin", word(63), nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("entity_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("operation", word(8), nullable=False),
        sa.Column("kind", word(63), nullable=False),
        sa.Column("source_id", word(128), nullable=False),
        sa.Column("name", text(512), nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("namespace", "plugin", "generation", "entity_id", name="pk_changes"),
    )
    create_index("ix_changes_changed_at", "changes", ["changed_at"])


def _create_status() -> None:
    create_table(
        "catalog_refresh_status",
        sa.Column("namespace", word(63), nullable=False),
        sa.Column("plugin_name", word(63), nullable=False),
        sa.Column("source_id", word(128), nullable=False),
        sa.Column("state", word(24), nullable=False),
        sa.Column("entity_count", sa.Integer, nullable=False),
        sa.Column("fingerprint", word(64), nullable=False),
        sa.Column("last_refresh_time", sa.BigInteger),
        sa.Column("last_refresh_status", word(24)),
        sa.Column("last_refresh_summary", long_text()),
        sa.Column("last_error", long_text()),
        sa.Column("problems", long_text(), nullable=False),
        sa.Column("entities_loaded", sa.Integer, nullable=False),
        sa.Column("entities_removed", sa.Integer, nullable=False),
        sa.Column("duration_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("namespace", "plugin_name", "source_id", name="pk_catalog_refresh_status"),
    )
