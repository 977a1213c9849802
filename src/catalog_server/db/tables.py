"""All tables. A migration in `migrations/versions` makes each of them; a test holds both equal.

Times are milliseconds since the epoch, UTC. Every table that holds entities or management state has a `namespace`.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, MetaData, Table, UniqueConstraint

from catalog_server.db.dialects import big_id, long_text, text, word

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_NAMESPACE = word(63)
_PLUGIN = word(63)
_SOURCE = word(128)
_ASSET_UID = text(640)  # plugin:kind:name
_VERSION_ID = text(137)  # label:8 hexadecimal digits

entities = Table(
    "entities",
    metadata,
    Column("id", big_id(), primary_key=True, autoincrement=True),
    Column("namespace", _NAMESPACE, nullable=False),
    Column("plugin", _PLUGIN, nullable=False),
    Column("kind", _PLUGIN, nullable=False),
    Column("source_id", _SOURCE, nullable=False),
    Column("name", text(512), nullable=False),
    Column("document", long_text(), nullable=False),
    Column("content_hash", word(64), nullable=False),
    Column("origin", long_text(), nullable=False),  # file or URL that it was read from
    Column("line", Integer, nullable=False),
    Column("commit_sha", word(64)),
    Column("job_id", word(36)),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("generation", BigInteger, nullable=False),
    UniqueConstraint("namespace", "plugin", "kind", "source_id", "name", name="uq_entities_identity"),
    Index("ix_entities_generation", "namespace", "plugin", "generation"),
)

entity_children = Table(
    "entity_children",
    metadata,
    Column("id", big_id(), primary_key=True, autoincrement=True),
    Column("namespace", _NAMESPACE, nullable=False),
    Column("plugin", _PLUGIN, nullable=False),
    Column("entity_id", big_id(), ForeignKey("entities.id", ondelete="CASCADE"), nullable=False),
    Column("kind", _PLUGIN, nullable=False),
    Column("position", Integer, nullable=False),
    Column("name", text(512), nullable=False),
    Column("document", long_text(), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("entity_id", "kind", "position", name="uq_entity_children_place"),
    Index("ix_entity_children_owner", "namespace", "plugin", "entity_id"),
)
generations = Table(
    "generations",
    metadata,
    Column("namespace", _NAMESPACE, primary_key=True),
    Column("plugin", _PLUGIN, primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("pruned_to", BigInteger, nullable=False),  # changes up to here are gone: a follower behind it rebuilds
)

changes = Table(
    "changes",
    metadata,
    Column("namespace", _NAMESPACE, primary_key=True),
    Column("plugin", _PLUGIN, primary_key=True),
    Column("generation", BigInteger, primary_key=True),
    Column("entity_id", BigInteger, primary_key=True, autoincrement=False),
    Column("operation", word(8), nullable=False),  # upsert | delete
    Column("kind", _PLUGIN, nullable=False),
    Column("source_id", _SOURCE, nullable=False),
    Column("name", text(512), nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Index("ix_changes_changed_at", "changed_at"),
)

refresh_status = Table(
    "catalog_refresh_status",
    metadata,
    Column("namespace", _NAMESPACE, primary_key=True),
    Column("plugin_name", _PLUGIN, primary_key=True),
    Column("source_id", _SOURCE, primary_key=True),
    Column("state", word(24), nullable=False),
    Column("entity_count", Integer, nullable=False),
    Column("fingerprint", word(64), nullable=False),  # of what was loaded last; equal means nothing to do
    Column("last_refresh_time", BigInteger),
    Column("last_refresh_status", word(24)),
    Column("last_refresh_summary", long_text()),
    Column("last_error", long_text()),
    Column("problems", long_text(), nullable=False),  # JSON list of per-entity errors and warnings
    Column("entities_loaded", Integer, nullable=False),
    Column("entities_removed", Integer, nullable=False),
    Column("duration_ms", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("error_code", word(64)),
    Column("definition", word(64), nullable=False, server_default=""),  # of the configuration that was followed
    Column("commit_sha", word(64)),
)

overlays = Table(
    "catalog_overlays",
    metadata,
    Column("namespace", _NAMESPACE, primary_key=True),
    Column("plugin_name", _PLUGIN, primary_key=True),
    Column("entity_kind", _PLUGIN, primary_key=True),
    Column("entity_uid", word(64), primary_key=True),  # of source and name: an entity that comes back finds it again
    Column("source_id", _SOURCE, nullable=False),
    Column("entity_name", text(512), nullable=False),
    Column("tags", long_text(), nullable=False),  # JSON list
    Column("annotations", long_text(), nullable=False),  # JSON object
    Column("lifecycle_phase", word(24)),
    Column("updated_at", BigInteger, nullable=False),
)

refresh_jobs = Table(
    "refresh_jobs",
    metadata,
    Column("id", word(36), primary_key=True),
    Column("namespace", _NAMESPACE, nullable=False),
    Column("plugin", _PLUGIN, nullable=False),
    Column("source_id", _SOURCE),  # null: all sources of the plugin
    Column("requested_by", text(255), nullable=False),
    Column("requested_at", BigInteger, nullable=False),
    Column("state", word(16), nullable=False),  # queued | running | succeeded | failed | canceled
    Column("progress", text(500)),
    Column("message", text(2000)),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("attempt_count", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("last_error", text(2000)),
    Column("idempotency_key", word(256), nullable=False),
    Column("active_key", word(256)),  # the idempotency key while the job lives, null afterwards: one live job per key
    Column("entities_loaded", Integer),
    Column("entities_removed", Integer),
    Column("duration_ms", BigInteger),
    Column("worker", word(128)),
    Column("heartbeat_at", BigInteger),
    Column("next_attempt_at", BigInteger, nullable=False),
    Column("deadline_at", BigInteger),
    Column("cancel_requested", Boolean, nullable=False),
    Column("confirm_removal", Boolean, nullable=False),
    Column("correlation_id", word(128)),  # of the request that asked for it
    Column("term", BigInteger),  # of the leader whose worker has it; null: claimed without a leader
    UniqueConstraint("active_key", name="uq_refresh_jobs_active_key"),
    Index("ix_refresh_jobs_claim", "state", "requested_at", "id"),
    Index("ix_refresh_jobs_list", "namespace", "requested_at", "id"),
    Index("ix_refresh_jobs_finished_at", "finished_at"),
)

audit_events = Table(
    "audit_events",
    metadata,
    Column("id", word(36), primary_key=True),
    Column("namespace", _NAMESPACE, nullable=False),
    Column("correlation_id", word(128), nullable=False),
    Column("event_type", word(63), nullable=False),
    Column("actor", text(255), nullable=False),
    Column("request_id", word(128)),
    Column("plugin", _PLUGIN),
    Column("resource_type", word(63)),
    Column("resource_ids", long_text(), nullable=False),  # JSON list
    Column("action", word(63), nullable=False),
    Column("action_verb", word(63)),
    Column("outcome", word(16), nullable=False),  # success | denied | failure | canceled | pending
    Column("status_code", Integer),
    Column("reason", text(2000)),
    Column("old_value", long_text()),  # JSON object
    Column("new_value", long_text()),  # JSON object
    Column("metadata", long_text(), nullable=False),  # JSON object
    Column("created_at", BigInteger, nullable=False),
    Column("asset_uid", _ASSET_UID),
    Index("ix_audit_events_list", "namespace", "created_at", "id"),
    Index("ix_audit_events_actor", "namespace", "actor", "created_at"),
    Index("ix_audit_events_plugin", "namespace", "plugin", "created_at"),
    Index("ix_audit_events_correlation_id", "namespace", "correlation_id"),
    Index("ix_audit_events_created_at", "created_at"),
    Index("ix_audit_events_asset", "namespace", "asset_uid", "created_at"),
)

asset_governance = Table(
    "asset_governance",
    metadata,
    Column("id", word(36), primary_key=True),
    Column("namespace", _NAMESPACE, nullable=False),
    Column("plugin", _PLUGIN, nullable=False),
    Column("asset_kind", _PLUGIN, nullable=False),
    Column("asset_name", text(512), nullable=False),
    Column("asset_uid", _ASSET_UID, nullable=False),
    Column("owner_principal", text(255)),
    Column("owner_display_name", text(255)),
    Column("owner_email", text(255)),
    Column("team_name", text(255)),
    Column("team_id", text(255)),
    Column("sla_tier", word(16)),
    Column("sla_response_hours", Integer),
    Column("risk_level", word(16), nullable=False),
    Column("risk_categories", long_text()),  # JSON list, as all columns of this type below
    Column("intended_use_summary", text(2000)),
    Column("intended_use_environments", long_text()),
    Column("intended_use_restrictions", long_text()),
    Column("compliance_tags", long_text()),
    Column("compliance_controls", long_text()),
    Column("lifecycle_state", word(16), nullable=False),  # draft | approved | deprecated | archived
    Column("lifecycle_reason", text(2000)),
    Column("lifecycle_changed_by", text(255), nullable=False),
    Column("lifecycle_changed_at", BigInteger, nullable=False),
    Column("audit_last_reviewed_at", BigInteger),
    Column("audit_review_cadence_days", Integer),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("namespace", "asset_uid", name="uq_asset_governance_asset"),
)

approval_requests = Table(
    "approval_requests",
    metadata,
    Column("id", word(36), primary_key=True),
    Column("namespace", _NAMESPACE, nullable=False),
    Column("asset_uid", _ASSET_UID, nullable=False),
    Column("plugin", _PLUGIN, nullable=False),
    Column("asset_kind", _PLUGIN, nullable=False),
    Column("asset_name", text(512), nullable=False),
    Column("action", word(63), nullable=False),
    Column("action_params", long_text(), nullable=False),  # JSON object
    Column("from_state", word(16), nullable=False),  # of the asset when it was asked for
    Column("policy_id", word(128), nullable=False),
    Column("required_count", Integer, nullable=False),
    Column("allowed_roles", long_text(), nullable=False),  # JSON list
    Column("deny_on_first", Boolean, nullable=False),
    Column("status", word(16), nullable=False),  # pending | approved | denied | canceled | expired
    Column("active_key", word(64)),  # of asset and target while it is pending, null afterwards: one request per change
    Column("requester", text(255), nullable=False),
    Column("reason", text(2000)),
    Column("resolved_at", BigInteger),
    Column("resolved_by", text(255)),
    Column("resolution_note", text(2000)),
    Column("expires_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("active_key", name="uq_approval_requests_active_key"),
    Index("ix_approval_requests_list", "namespace", "created_at", "id"),
    Index("ix_approval_requests_asset", "namespace", "asset_uid", "created_at"),
)

approval_decisions = Table(
    "approval_decisions",
    metadata,
    Column("id", word(36), primary_key=True),
    Column("namespace", _NAMESPACE, nullable=False),
    Column("request_id", word(36), ForeignKey("approval_requests.id", ondelete="CASCADE"), nullable=False),
    Column("reviewer", text(255), nullable=False),
    Column("verdict", word(16), nullable=False),  # approve | deny
    Column("comment", text(2000)),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("request_id", "reviewer", name="uq_approval_decisions_reviewer"),
)

asset_versions = Table(
    "asset_versions",
    metadata,
    Column("id", word(36), primary_key=True),
    Column("namespace", _NAMESPACE, nullable=False),
    Column("asset_uid", _ASSET_UID, nullable=False),
    Column("version_id", _VERSION_ID, nullable=False),
    Column("version_label", text(128), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", text(255), nullable=False),
    Column("content_digest", word(128)),  # of the entity; null: no catalog had it
    Column("provenance_source_type", word(63)),
    Column("provenance_source_uri", long_text()),
    Column("provenance_source_id", _SOURCE),
    Column("provenance_revision_id", word(64)),
    Column("provenance_observed_at", BigInteger),
    Column("governance_snapshot", long_text(), nullable=False),  # JSON object
    Column("asset_snapshot", long_text(), nullable=False),  # JSON object, empty where no catalog had it
    UniqueConstraint("namespace", "version_id", name="uq_asset_versions_version"),
    Index("ix_asset_versions_asset", "namespace", "asset_uid", "created_at"),
)

env_bindings = Table(
    "env_bindings",
    metadata,
    Column("id", word(36), primary_key=True),
    Column("namespace", _NAMESPACE, nullable=False),
    Column("plugin", _PLUGIN, nullable=False),
    Column("asset_kind", _PLUGIN, nullable=False),
    Column("asset_name", text(512), nullable=False),
    Column("asset_uid", _ASSET_UID, nullable=False),
    Column("environment", word(63), nullable=False),
    Column("version_id", _VERSION_ID, nullable=False),
    Column("bound_at", BigInteger, nullable=False),
    Column("bound_by", text(255), nullable=False),
    Column("previous_version_id", _VERSION_ID),
    UniqueConstraint("namespace", "asset_uid", "environment", name="uq_env_bindings_place"),
)

migration_lock = Table(
    "migration_lock",
    metadata,
    Column("id", word(64), primary_key=True),
    Column("locked_at", BigInteger, nullable=False),
    Column("locked_by", text(255), nullable=False),
)

leader_terms = Table(
    "leader_terms",
    metadata,
    Column("name", word(253), primary_key=True),
    Column("term", BigInteger, nullable=False),  # the newest one: whoever works under an older one may not write
    Column("holder", text(255), nullable=False),
    Column("began_at", BigInteger, nullable=False),
)

# Not the row above: a lease is renewed while long transactions of its holder keep their term.
leases = Table(
    "leases",
    metadata,
    Column("name", word(253), primary_key=True),
    Column("version", BigInteger, nullable=False),  # counts up with each change
    Column("holder", text(255), nullable=False),  # empty: nobody
    Column("term", BigInteger, nullable=False),
    Column("duration_seconds", Integer, nullable=False),
    Column("renewed_at", BigInteger, nullable=False),
)

configuration_feed = Table(
    "configuration_feed",
    metadata,
    Column("name", word(63), primary_key=True),
    Column("version", word(64), nullable=False),  # of what the store holds since somebody saved it
    Column("changed_at", BigInteger, nullable=False),
)
