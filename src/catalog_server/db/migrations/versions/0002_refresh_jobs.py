"""The queue of refresh jobs.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa

from catalog_server.db.dialects import text, word
from catalog_server.db.migrations.steps import create_index, create_table

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_table(
        "refresh_jobs",
        sa.Column("id", word(36), nullable=False),
        sa.Column("namespace", word(63), nullable=False),
        sa.Column("plugin", word(63), nullable=False),
        sa.Column("source_id", word(128)),
        sa.Column("requested_by", text(255), nullable=False),
        sa.Column("requested_at", sa.BigInteger, nullable=False),
        sa.Column("state", word(16), nullable=False),
        sa.Column("progress", text(500)),
        sa.Column("message", text(2000)),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("attempt_count", sa.Integer, nullable=False),
        sa.Column("max_attempts", sa.Integer, nullable=False),
        sa.Column("last_error", text(2000)),
        sa.Column("idempotency_key", word(256), nullable=False),
        sa.Column("active_key", word(256)),
        sa.Column("entities_loaded", sa.Integer),
        sa.Column("entities_removed", sa.Integer),
        sa.Column("duration_ms", sa.BigInteger),
        sa.Column("worker", word(128)),
        sa.Column("heartbeat_at", sa.BigInteger),
        sa.Column("next_attempt_at", sa.BigInteger, nullable=False),
        sa.Column("deadline_at", sa.BigInteger),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("confirm_removal", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_refresh_jobs"),
        sa.UniqueConstraint("active_key", name="uq_refresh_jobs_active_key"),
    )
    create_index("ix_refresh_jobs_claim", "refresh_jobs", ["state", "requested_at", "id"])
    create_index("ix_refresh_jobs_list", "refresh_jobs", ["namespace", "requested_at", "id"])
    create_index("ix_refresh_jobs_finished_at", "refresh_jobs", ["finished_at"])
