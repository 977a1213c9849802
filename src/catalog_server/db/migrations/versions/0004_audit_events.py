"""Audit events, and the correlation id that a job hands on from the request that asked for it.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa

from catalog_server.db.dialects import long_text, text, word
from catalog_server.db.migrations.steps import add_column, create_index, create_table

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    add_column("refresh_jobs", sa.Column("correlation_id", word(128)))
    create_table(
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
    create_index("ix_audit_events_list", "audit_events", ["namespace", "created_at", "id"])
    create_index("ix_audit_events_actor", "audit_events", ["namespace", "actor", "created_at"])
    create_index("ix_audit_events_plugin", "audit_events", ["namespace", "plugin", "created_at"])
    create_index("ix_audit_events_correlation_id", "audit_events", ["namespace", "correlation_id"])
    create_index("ix_audit_events_created_at", "audit_events", ["created_at"])
