"""JSON Schemas of the bodies of governance: records, steps of a lifecycle, approval requests, policies."""

from __future__ import annotations

from catalog_server.catalog.capabilities import Document
from catalog_server.governance.actions import MAX_REASON
from catalog_server.governance.lifecycle import STATES
from catalog_server.governance.requests import STATUSES, VERDICTS
from catalog_server.governance.versions import LABEL, MAX_LABEL
from catalog_server.http.management_schemas import EVENT_SCHEMA, page_schema

_TEXT: Document = {"type": "string"}
_COUNT: Document = {"type": "integer", "minimum": 0}
_REASON: Document = {"type": ["string", "null"], "pattern": r"^[^\u0000]*$", "maxLength": MAX_REASON}
_WORD: Document = {"type": "string", "pattern": r"^[^\u0000]*$", "maxLength": 255}
_LABEL: Document = {"type": "string", "pattern": f"^{LABEL}$", "maxLength": MAX_LABEL}
_ASSET_REF: Document = {
    "type": "object",
    "required": ["plugin", "kind", "name"],
    "properties": {"plugin": _TEXT, "kind": _TEXT, "name": _TEXT},
}


def _page_schema(key: str, entry: Document) -> Document:
    return {**page_schema(key, entry), "required": [key, "totalSize"]}


RECORD_SCHEMA: Document = {
    "type": "object",
    "title": "GovernanceRecord",
    "required": ["assetRef", "governance"],
    "properties": {
        "assetRef": _ASSET_REF,
        "governance": {
            "type": "object",
            "required": ["risk", "lifecycle"],
            "properties": {
                "lifecycle": {
                    "type": "object",
                    "required": ["state", "changedBy"],
                    "properties": {"state": {"enum": list(STATES)}},
                }
            },
        },
    },
}
# Which of them an action takes, the action says.
ACTION_BODY: Document = {
    "type": "object",
    "properties": {
        "dryRun": {"type": "boolean"},
        "params": {
            "type": ["object", "null"],
            "additionalProperties": False,
            "properties": {
                "state": {"enum": list(STATES)},
                "targetState": {"enum": list(STATES)},
                "versionLabel": _LABEL,
                **dict.fromkeys(("environment", "fromEnv", "toEnv", "fromEnvironment", "toEnvironment"), _WORD),
                **dict.fromkeys(("versionId", "targetVersionId"), _WORD),
                "reason": _REASON,
            },
        },
    },
}
ACTION_RESULT_SCHEMA: Document = {
    "type": "object",
    "title": "GovernanceActionResult",
    "required": ["action", "status", "message", "data"],
    "properties": {
        "action": _TEXT,
        "status": {"enum": ["completed", "dry-run", "pending-approval"]},
        "message": _TEXT,
        "data": {"type": "object"},
    },
}
_DECISION: Document = {
    "type": "object",
    "required": ["id", "requestId", "reviewer", "verdict", "createdAt"],
    "properties": {"verdict": {"enum": list(VERDICTS)}, "comment": _TEXT},
}
REQUEST_SCHEMA: Document = {
    "type": "object",
    "title": "ApprovalRequest",
    "required": [
        *("id", "assetRef", "action", "policyId", "requiredCount", "status", "requester", "createdAt"),
    ],
    "properties": {
        "id": _TEXT,
        "assetRef": _ASSET_REF,
        "action": _TEXT,
        "actionParams": {"type": "object"},
        "policyId": _TEXT,
        "requiredCount": {"type": "integer", "minimum": 1},
        "status": {"enum": list(STATUSES)},
        "requester": _TEXT,
        "reason": _TEXT,
        "decisions": {"type": "array", "items": _DECISION},
        "createdAt": _TEXT,
        "expiresAt": _TEXT,
        "resolvedAt": _TEXT,
        "resolvedBy": _TEXT,
        "resolutionNote": _TEXT,
    },
}
HISTORY_SCHEMA: Document = _page_schema("events", EVENT_SCHEMA)
REQUEST_LIST_SCHEMA: Document = _page_schema("requests", REQUEST_SCHEMA)
DECISION_BODY: Document = {
    "type": "object",
    "required": ["verdict"],
    "properties": {"verdict": {"enum": list(VERDICTS)}, "comment": _REASON},
}
DECIDED_SCHEMA: Document = {
    "type": "object",
    "required": ["decision", "requestId"],
    "properties": {
        "decision": {"enum": ["approve", "approved", "deny", "denied"]},
        "requestId": _TEXT,
        "status": {"const": "pending"},
        "approvesCount": _COUNT,
        "deniesCount": _COUNT,
        "requiredCount": _COUNT,
        "autoExecuted": {"const": True},
        "result": ACTION_RESULT_SCHEMA,
    },
}
CANCEL_BODY: Document = {"type": "object", "properties": {"reason": _REASON}}
CANCELED_SCHEMA: Document = {
    "type": "object",
    "required": ["status", "requestId"],
    "properties": {"status": {"const": "canceled"}, "requestId": _TEXT},
}
POLICIES_SCHEMA: Document = {
    "type": "object",
    "required": ["policies"],
    "properties": {
        "policies": {
            "type": "array",
            "items": {"type": "object", "required": ["id", "enabled", "selector", "gate", "expiryHours"]},
        }
    },
}
VERSION_BODY: Document = {
    "type": "object",
    "required": ["versionLabel"],
    "properties": {"versionLabel": _LABEL, "reason": _REASON},
}
VERSION_SCHEMA: Document = {
    "type": "object",
    "title": "AssetVersion",
    "required": ["versionId", "versionLabel", "createdAt", "createdBy"],
    "properties": {
        "versionId": _TEXT,
        "versionLabel": _TEXT,
        "createdAt": _TEXT,
        "createdBy": _TEXT,
        "contentDigest": _TEXT,
        "provenance": {"type": "object", "required": ["sourceType", "sourceUri", "sourceId", "observedAt"]},
    },
}
VERSION_LIST_SCHEMA: Document = _page_schema("versions", VERSION_SCHEMA)
BINDING_BODY: Document = {
    "type": "object",
    "required": ["versionId"],
    "properties": {"versionId": {**_WORD, "minLength": 1}},
}
BINDING_SCHEMA: Document = {
    "type": "object",
    "title": "EnvironmentBinding",
    "required": ["environment", "versionId", "boundAt", "boundBy"],
    "properties": {
        "environment": _TEXT,
        "versionId": _TEXT,
        "boundAt": _TEXT,
        "boundBy": _TEXT,
        "previousVersionId": _TEXT,
        "warnings": {"type": "array", "items": _TEXT},
    },
}
BINDINGS_SCHEMA: Document = {
    "type": "object",
    "required": ["bindings"],
    "properties": {"bindings": {"type": "array", "items": BINDING_SCHEMA}},
}
