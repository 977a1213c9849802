"""Governance: records of assets, approval requests and decisions; audit events name the asset that they are about.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa

from catalog_server.db.dialects import long_text, text, word
from catalog_server.db.migrations.steps import add_column, create_index, create_table

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    add_column("audit_events", sa.Column("asset_uid", text(640)))
    create_index("ix_audit_events_asset", "audit_events", ["namespace", "asset_uid", "created_at"])
    _create_records()
    _create_requests()
    create_table(
        "approval_decisions",
        sa.Column("id", word(36), nullable=False),
        sa.Column("namespace", word(63), nullable=False),
        sa.Column("request_id", word(36), nullable=False),
        sa.Column("reviewer", text(255), nullable=False),
        sa.Column("verdict", word(16), nullable=False),
        sa.Column("comment", text(2000)),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_approval_decisions"),
        sa.ForeignKeyConstraint(
            ["request_id"], ["approval_requests.id"], name="fk_approval_decisions_request_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("request_id", "reviewer", name="uq_approval_decisions_reviewer"),
    )


def _create_records() -> None:
    create_table(
        "asset_governance",
        sa.Column("id", word(36), nullable=False),
        sa.Column("namespace", word(63), nullable=False),
        sa.Column("plugin", word(63), nullable=False),
        sa.Column("asset_kind", word(63), nullable=False),
        sa.Column("asset_name", text(512), nullable=False),
        sa.Column("asset_uid", text(640), nullable=False),
        sa.Column("owner_principal", text(255)),
        sa.Column("owner_display_name", text(255)),
        sa.Column("owner_email", text(255)),
        sa.Column("team_name", text(255)),
        sa.Column("team_id", text(255)),
        sa.Column("sla_tier", word(16)),
        sa.Column("sla_response_hours", sa.Integer),
        sa.Column("risk_level", word(16), nullable=False),
        sa.Column("risk_categories", long_text()),
        sa.Column("intended_use_summary", text(2000)),
        sa.Column("intended_use_environments", long_text()),
        sa.Column("intended_use_restrictions", long_text()),
        sa.Column("compliance_tags", long_text()),
        sa.Column("compliance_controls", long_text()),
        sa.Column("lifecycle_state", word(16), nullable=False),
        sa.Column("lifecycle_reason", text(2000)),
        sa.Column("lifecycle_changed_by", text(255), nullable=False),
        sa.Column("lifecycle_changed_at", sa.BigInteger, nullable=False),
        sa.Column("audit_last_reviewed_at", sa.BigInteger),
        sa.Column("audit_review_cadence_days", sa.Integer),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_asset_governance"),
        sa.UniqueConstraint("namespace", "asset_uid", name="uq_asset_governance_asset"),
    )


def _create_requests() -> None:
    create_table(
        "approval_requests",
        sa.Column("id", word(36), nullable=False),
        sa.Column("namespace", word(63), nullable=False),
        sa.Column("asset_uid", text(640), nullable=False),
        sa.Column("plugin", word(63), nullable=False),
        sa.Column("asset_kind", word(63), nullable=False),
        sa.Column("asset_name", text(512), nullable=False),
        sa.Column("action", word(63), nullable=False),
        sa.Column("action_params", long_text(), nullable=False),
        sa.Column("from_state", word(16), nullable=False),
        sa.Column("policy_id", word(128), nullable=False),
        sa.Column("required_count", sa.Integer, nullable=False),
        sa.Column("allowed_roles", long_text(), nullable=False),
        sa.Column("deny_on_first", sa.Boolean, nullable=False),
        sa.Column("status", word(16), nullable=False),
        sa.Column("active_key", word(64)),
        sa.Column("requester", text(255), nullable=False),
        sa.Column("reason", text(2000)),
        sa.Column("resolved_at", sa.BigInteger),
        sa.Column("resolved_by", text(255)),
        sa.Column("resolution_note", text(2000)),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_approval_requests"),
        sa.UniqueConstraint("active_key", name="uq_approval_requests_active_key"),
    )
    create_index("ix_approval_requests_list", "approval_requests", ["namespace", "created_at", "id"])
    create_index("ix_approval_requests_asset", "approval_requests", ["namespace", "asset_uid", "created_at"])
