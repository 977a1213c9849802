"""JSON Schemas of the bodies of management: sources, refreshes, jobs, actions. Those of entities are in schemas.py.

What the document allows is accepted, but for what JSON Schema cannot tell: whether a file is there, a secret resolves,
a number fits into 64 bits inside of a free-form object.
"""

from __future__ import annotations

from catalog_server.audit.event import OUTCOMES
from catalog_server.catalog.capabilities import Document
from catalog_server.catalog.overlays import MAX_ANNOTATIONS, MAX_TAG_LENGTH, MAX_TAGS, PHASES
from catalog_server.catalog.plugin import Plugin

_TEXT = {"type": "string"}

_COUNT: Document = {"type": "integer", "minimum": 0}


def page_schema(key: str, entry: Document) -> Document:
    """A page of a list that is sorted by time."""
    return {
        "type": "object",
        "required": [key, "nextPageToken", "totalSize"],
        "properties": {key: {"type": "array", "items": entry}, "nextPageToken": _TEXT, "totalSize": _COUNT},
    }


# --- managing sources ---

_TEXTS: Document = {"type": "array", "items": _TEXT}
_SOURCE_STATUS: Document = {
    "type": "object",
    "required": ["state", "entityCount"],
    "properties": {
        "state": {"enum": ["available", "partially-available", "error", "disabled", "loading", ""]},
        "entityCount": _COUNT,
        "lastRefreshTime": _TEXT,
        "lastRefreshStatus": {"enum": ["success", "error"]},
        "lastRefreshSummary": _TEXT,
        "lastCommit": _TEXT,
        "nextRefreshTime": _TEXT,
        "error": _TEXT,
        "errorCode": _TEXT,
        "problems": {"type": "array", "items": {"type": "object", "required": ["severity", "message"]}},
    },
}
SOURCE_SCHEMA: Document = {
    "type": "object",
    "title": "SourceInfo",
    "required": ["id", "name", "type", "enabled", "status"],
    "properties": {
        "id": _TEXT,
        "name": _TEXT,
        "type": _TEXT,
        "enabled": {"type": "boolean"},
        "labels": _TEXTS,
        "properties": {"type": "object"},
        "includedItems": _TEXTS,
        "excludedItems": _TEXTS,
        "status": _SOURCE_STATUS,
        "applied": {"const": True},
        "version": _TEXT,
        "persisted": {"type": "boolean"},
        "warnings": {"type": "array", "items": {"type": "object"}},
        "pending": _TEXT,
        "refreshResult": {"type": "object"},
    },
}
SOURCE_LIST_SCHEMA: Document = {
    "type": "object",
    "required": ["sources", "count"],
    "properties": {
        "sources": {"type": "array", "items": SOURCE_SCHEMA},
        "count": _COUNT,
        "configError": _TEXT,
    },
}
_PATTERNS: Document = {"type": "array", "items": {"type": "string", "pattern": r"\S"}}


def source_body(plugin: Plugin) -> Document:
    """SourceConfigInput."""
    return {
        "type": "object",
        "title": "SourceConfigInput",
        "required": ["id", "name", "type"],
        "additionalProperties": False,
        "properties": {
            "id": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]*$", "maxLength": 128},
            "name": {"type": "string", "minLength": 1, "maxLength": 256},
            "type": {"enum": list(plugin.source_types)},
            # null stands for not given
            "enabled": {"type": ["boolean", "null"]},
            "labels": {**_TEXTS, "type": ["array", "null"]},
            "properties": {"type": ["object", "null"]},
            "includedItems": {**_PATTERNS, "type": ["array", "null"]},
            "excludedItems": {**_PATTERNS, "type": ["array", "null"]},
            "refreshAfterApply": {"type": ["boolean", "null"]},
        },
    }


JUDGED_BODY: Document = {
    "type": "object",
    "description": "A SourceConfigInput. Any object is judged: what is wrong with it is the answer.",
}
_FINDING: Document = {
    "type": "object",
    "required": ["field", "message"],
    "properties": {"field": _TEXT, "message": _TEXT, "code": _TEXT, "layer": _TEXT},
}
_FINDINGS: Document = {"type": "array", "items": _FINDING}
VALIDATION_SCHEMA: Document = {
    "type": "object",
    "title": "DetailedValidationResult",
    "required": ["valid", "layerResults"],
    "properties": {
        "valid": {"type": "boolean"},
        "errors": _FINDINGS,
        "warnings": _FINDINGS,
        "layerResults": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["layer", "valid"],
                "properties": {"layer": _TEXT, "valid": {"type": "boolean"}, "errors": _FINDINGS},
            },
        },
    },
}
ENABLE_BODY: Document = {
    "type": "object",
    "required": ["enabled"],
    "properties": {"enabled": {"type": "boolean"}},
}
ROLLBACK_BODY: Document = {
    "type": "object",
    "required": ["version"],
    "properties": {"version": {"type": "string", "pattern": "^[0-9a-fA-F]{8,64}$"}},
}
ROLLBACK_SCHEMA: Document = {
    "type": "object",
    "required": ["status", "version", "reinitialized"],
    "properties": {
        "status": {"const": "rolled_back"},
        "version": _TEXT,
        "reinitialized": _TEXTS,
        "reinitErrors": {"type": "object", "additionalProperties": _TEXT},
    },
}
REVISIONS_SCHEMA: Document = {
    "type": "object",
    "required": ["revisions", "count"],
    "properties": {
        "revisions": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["version", "hash", "timestamp", "size", "current"],
                "properties": {
                    "version": _TEXT,
                    "hash": _TEXT,
                    "timestamp": _TEXT,
                    "size": _COUNT,
                    "current": {"type": "boolean"},
                    "author": _TEXT,
                    "reason": _TEXT,
                },
            },
        },
        "count": _COUNT,
    },
}

# --- refreshes and jobs ---

QUEUED_SCHEMA: Document = {
    "type": "object",
    "required": ["status", "jobId"],
    "properties": {"status": {"const": "queued"}, "jobId": _TEXT},
}
REFRESH_SCHEMA: Document = {
    "type": "object",
    "title": "RefreshResult",
    "required": ["entitiesLoaded", "entitiesRemoved", "duration"],
    "properties": {
        "sourceId": _TEXT,
        "entitiesLoaded": _COUNT,
        "entitiesRemoved": _COUNT,
        "duration": _COUNT,
        "error": _TEXT,
    },
}
JOB_SCHEMA: Document = {
    "type": "object",
    "title": "RefreshJob",
    "required": ["id", "namespace", "plugin", "requestedBy", "requestedAt", "state", "attemptCount"],
    "properties": {
        "id": _TEXT,
        "namespace": _TEXT,
        "plugin": _TEXT,
        "sourceId": _TEXT,
        "requestedBy": _TEXT,
        "requestedAt": _TEXT,
        "state": {"enum": ["queued", "running", "succeeded", "failed", "canceled"]},
        "attemptCount": _COUNT,
        "progress": _TEXT,
        "message": _TEXT,
        "startedAt": _TEXT,
        "finishedAt": _TEXT,
        "lastError": _TEXT,
        "entitiesLoaded": _COUNT,
        "entitiesRemoved": _COUNT,
        "durationMs": _COUNT,
    },
}
CANCELED_SCHEMA: Document = {"type": "object", "required": ["status", "jobId"]}
JOB_LIST_SCHEMA: Document = page_schema("jobs", JOB_SCHEMA)
EVENT_SCHEMA: Document = {
    "type": "object",
    "title": "AuditEvent",
    "required": ["id", "namespace", "correlationId", "eventType", "actor", "action", "outcome", "createdAt"],
    "properties": {
        "id": _TEXT,
        "namespace": _TEXT,
        "correlationId": _TEXT,
        "eventType": _TEXT,
        "actor": _TEXT,
        "requestId": _TEXT,
        "plugin": _TEXT,
        "resourceType": _TEXT,
        "resourceIds": {"type": "array", "items": _TEXT},
        "assetUid": _TEXT,
        "action": _TEXT,
        "actionVerb": _TEXT,
        "outcome": {"enum": list(OUTCOMES)},
        "statusCode": _COUNT,
        "reason": _TEXT,
        "oldValue": {"type": "object"},
        "newValue": {"type": "object"},
        "metadata": {"type": "object"},
        "createdAt": _TEXT,
    },
}
EVENT_LIST_SCHEMA: Document = page_schema("events", EVENT_SCHEMA)
DIAGNOSTICS_SCHEMA: Document = {
    "type": "object",
    "required": ["pluginName", "sources", "configVersion", "persistence"],
    "properties": {
        "pluginName": _TEXT,
        "lastRefresh": _TEXT,
        "sources": {
            "type": "array",
            "items": {"type": "object", "required": ["id", "name", "state", "entityCount"]},
        },
        "errors": {"type": "array", "items": {"type": "object", "required": ["source", "message"]}},
        "configVersion": _TEXT,
        "persistence": {"type": "object", "required": ["mode", "writable", "persistent"]},
        "lastReconcile": {"type": "object", "required": ["time", "result"]},
    },
}

# --- actions ---

_DRY_RUN: Document = {"type": "boolean"}
# Some characters are blank for us and not for every reader of this pattern, so it names them.
_WORD: Document = {
    "type": "string",
    "pattern": r"^[^\u0000]*[^\s\u0000\u001c-\u001f\u0085][^\u0000]*$",
    "maxLength": MAX_TAG_LENGTH,
}


def _action_body(action: str, params: Document, *required: str) -> Document:
    kinds = "object" if required else ["object", "null"]
    shown = {"type": kinds, "additionalProperties": False, "required": list(required), "properties": params}
    return {
        "type": "object",
        "required": ["action", *(["params"] if required else [])],
        "properties": {"action": {"const": action}, "dryRun": _DRY_RUN, "params": shown},
    }


ASSET_ACTION_BODY: Document = {
    "oneOf": [
        _action_body(
            "tag",
            {
                "tags": {"type": "array", "maxItems": MAX_TAGS, "items": _WORD},
                "mode": {"enum": ["replace", "add", "remove"]},
            },
            "tags",
        ),
        _action_body(
            "annotate",
            {
                "annotations": {
                    "type": "object",
                    "maxProperties": MAX_ANNOTATIONS,
                    "propertyNames": {"minLength": 1},
                    "additionalProperties": {"type": ["string", "null"]},
                }
            },
            "annotations",
        ),
        _action_body("deprecate", {"phase": {"enum": list(PHASES)}}),
    ]
}
SOURCE_ACTION_BODY: Document = {
    "type": "object",
    "required": ["action"],
    "properties": {"action": {"const": "refresh"}, "dryRun": {"const": False}, "params": {"type": ["object", "null"]}},
}
ACTION_SCHEMA: Document = {
    "type": "object",
    "title": "ActionResult",
    "required": ["action", "status", "message", "data"],
    "properties": {
        "action": _TEXT,
        "status": {"enum": ["completed", "dry-run", "error"]},
        "message": _TEXT,
        "data": {"type": "object"},
    },
}
ACTIONS_SCHEMA: Document = {
    "type": "object",
    "required": ["actions", "count"],
    "properties": {
        "actions": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "displayName", "description", "scope", "supportsDryRun", "idempotent"],
            },
        },
        "count": _COUNT,
    },
}
