"""Versions of assets, and which of them an environment uses.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa

from catalog_server.db.dialects import long_text, text, word
from catalog_server.db.migrations.steps import create_index, create_table

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_table(
        "asset_versions",
        sa.Column("id", word(36), nullable=False),
        sa.Column("namespace", word(63), nullable=False),
        sa.Column("asset_uid", text(640), nullable=False),
        sa.Column("version_id", text(137), nullable=False),
        sa.Column("version_label", text(128), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", text(255), nullable=False),
        sa.Column("content_digest", word(128)),
        sa.Column("provenance_source_type", word(63)),
        sa.Column("provenance_source_uri", long_text()),
        sa.Column("provenance_source_id", word(128)),
        sa.Column("provenance_revision_id", word(64)),
        sa.Column("provenance_observed_at", sa.BigInteger),
        sa.Column("governance_snapshot", long_text(), nullable=False),
        sa.Column("asset_snapshot", long_text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_asset_versions"),
        sa.UniqueConstraint("namespace", "version_id", name="uq_asset_versions_version"),
    )
    create_index("ix_asset_versions_asset", "asset_versions", ["namespace", "asset_uid", "created_at"])
    create_table(
        "env_bindings",
        sa.Column("id", word(36), nullable=False),
        sa.Column("namespace", word(63), nullable=False),
        sa.Column("plugin", word(63), nullable=False),
        sa.Column("asset_kind", word(63), nullable=False),
        sa.Column("asset_name", text(512), nullable=False),
        sa.Column("asset_uid", text(640), nullable=False),
        sa.Column("environment", word(63), nullable=False),
        sa.Column("version_id", text(137), nullable=False),
        sa.Column("bound_at", sa.BigInteger, nullable=False),
        sa.Column("bound_by", text(255), nullable=False),
        sa.Column("previous_version_id", text(137)),
        sa.PrimaryKeyConstraint("id", name="pk_env_bindings"),
        sa.UniqueConstraint("namespace", "asset_uid", "environment", name="uq_env_bindings_place"),
    )
