"""What several replicas share: who leads, under which term a job was claimed, and news of the configuration.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa

from catalog_server.db.dialects import text, word
from catalog_server.db.migrations.steps import add_column, create_table

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    add_column("refresh_jobs", sa.Column("term", sa.BigInteger))
    create_table(
        "leader_terms",
        sa.Column("name", word(253), nullable=False),
        sa.Column("term", sa.BigInteger, nullable=False),
        sa.Column("holder", text(255), nullable=False),
        sa.Column("began_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leader_terms"),
    )
    create_table(
        "leases",
        sa.Column("name", word(253), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("holder", text(255), nullable=False),
        sa.Column("term", sa.BigInteger, nullable=False),
        sa.Column("duration_seconds", sa.Integer, nullable=False),
        sa.Column("renewed_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )
    create_table(
        "configuration_feed",
        sa.Column("name", word(63), nullable=False),
        sa.Column("version", word(64), nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_configuration_feed"),
    )
