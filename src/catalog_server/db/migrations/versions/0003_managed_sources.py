"""What managing sources needs: definition, commit and error code of a refresh; overlays of entities.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa

from catalog_server.db.dialects import long_text, text, word
from catalog_server.db.migrations.steps import add_column, create_table

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Old replicas, which insert without the column while the upgrade rolls on, get the empty definition.
    add_column("catalog_refresh_status", sa.Column("error_code", word(64)))
    add_column("catalog_refresh_status", sa.Column("definition", word(64), nullable=False, server_default=""))
    add_column("catalog_refresh_status", sa.Column("commit_sha", word(64)))
    create_table(
        "catalog_overlays",
        sa.Column("namespace", word(63), nullable=False),
        sa.Column("plugin_name", word(63), nullable=False),
        sa.Column("entity_kind", word(63), nullable=False),
        sa.Column("entity_uid", word(64), nullable=False),
        sa.Column("source_id", word(128), nullable=False),
        sa.Column("entity_name", text(512), nullable=False),
        sa.Column("tags", long_text(), nullable=False),
        sa.Column("annotations", long_text(), nullable=False),
        sa.Column("lifecycle_phase", word(24)),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("namespace", "plugin_name", "entity_kind", "entity_uid", name="pk_catalog_overlays"),
    )
