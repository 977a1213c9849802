"""Audit events, and the correlation id that a job hands on from the request that asked for it.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

from catalog_server.db.dialects import long_text, text, word

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("refresh_jobs", sa.Column("correlation_id", word(128)))
    op.create_table(
        "audit_events",
        sa.Column("id", word(36), nullable=False),
        sa.Column("namespace", word(63), nullable=False),
        sa.Column("correlation_id", word(128), nullable=False),
        sa.Column("event_type", word(63), nullable=False),
        sa.Column("actor", text(255), nullable=False),
        sa.Column("request_id", word(128)),
        sa.Column("plugin", word(63)),
        sa.Column("resource_type", word(63)),
        sa.Column("resource_ids", long_text(), nullable=False),
        sa.Column("action", word(63), nullable=False),
        sa.Column("action_verb", word(63)),
        sa.Column("outcome", word(16), nullable=False),
        sa.Column("status_code", sa.Integer),
        sa.Column("reason", text(2000)),
        sa.Column("old_value", long_text()),
        sa.Column("new_value", long_text()),
        sa.Column("metadata", long_text(), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_events"),
    )
    op.create_index("ix_audit_events_list", "audit_events", ["namespace", "created_at", "id"])
    op.create_index("ix_audit_events_actor", "audit_events", ["namespace", "actor", "created_at"])
    op.create_index("ix_audit_events_plugin", "audit_events", ["namespace", "plugin", "created_at"])
    op.create_index("ix_audit_events_correlation_id", "audit_events", ["namespace", "correlation_id"])
    op.create_index("ix_audit_events_created_at", "audit_events", ["created_at"])
