"""Sources and what became of them, as JSON (spec http-api.md 1.5.1, 1.6). What is secret never gets here as it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from catalog_server.catalog.plugin import Plugin
from catalog_server.catalog.records import Problem
from catalog_server.catalog.refreshes import RefreshResult
from catalog_server.catalog.status import SourceStatus
from catalog_server.sources.config import Source
from catalog_server.sources.redaction import redact
from catalog_server.sources.stores.base import Revision
from catalog_server.sources.validation import DetailedValidation, Finding

Document = dict[str, Any]


def source_info(source: Source, status: SourceStatus | None, next_at: int | None = None) -> Document:
    """SourceInfo without its properties."""
    return {
        "id": source.id,
        "name": source.name,
        "type": source.type,
        "enabled": source.enabled,
        **_filled({"labels": list(source.labels)}),
        "status": _status(source, status, next_at),
    }


def managed_source(source: Source, status: SourceStatus | None, next_at: int | None = None) -> Document:
    """SourceInfo as operators and viewers of the configuration see it: properties redacted, the globs."""
    extra = {
        "properties": redact(source.properties),
        "includedItems": list(source.included),
        "excludedItems": list(source.excluded),
    }
    return {**source_info(source, status, next_at), **_filled(extra)}


def state_of(source: Source, status: SourceStatus | None) -> str:
    if not source.enabled:
        return "disabled"
    return "loading" if status is None or status.state == "disabled" else status.state


def _status(source: Source, status: SourceStatus | None, next_at: int | None) -> Document:
    shown: Document = {"state": state_of(source, status), "entityCount": status.entity_count if status else 0}
    if status is not None:
        shown |= _filled(
            {
                "lastRefreshTime": format_time(status.last_refresh_time),
                "lastRefreshStatus": status.last_refresh_status,
                "lastRefreshSummary": status.last_refresh_summary,
                "error": status.last_error,
                "errorCode": status.error_code if status.state == "error" else None,
                "lastCommit": status.commit_sha,
                "problems": [_problem(one) for one in status.problems],
            }
        )
    return {**shown, **_filled({"nextRefreshTime": format_time(next_at)})}


def _problem(problem: Problem) -> Document:
    optional = {"field": problem.field, "name": problem.name}
    return {
        "severity": problem.severity,
        "message": problem.message,
        "file": problem.file,
        "line": problem.line,
        **_filled(optional),
    }


def validation_document(found: DetailedValidation) -> Document:
    """DetailedValidationResult (spec http-api.md 1.5.3)."""
    layers = [
        {
            "layer": layer.layer,
            "valid": layer.valid,
            **_filled({"errors": [_finding(one) for one in layer.errors]}),
        }
        for layer in found.layer_results
    ]
    lists = {"errors": findings(found.errors), "warnings": findings(found.warnings)}
    return {"valid": found.valid, **_filled(lists), "layerResults": layers}


def findings(found: tuple[Finding, ...]) -> list[Document]:
    return [_finding(one) for one in found]


def _finding(one: Finding) -> Document:
    return {"field": one.field, "message": one.message, **_filled({"code": one.code, "layer": one.layer})}


def refresh_document(result: RefreshResult) -> Document:
    """RefreshResult (spec http-api.md 1.6); the duration is in nanoseconds."""
    return {
        **_filled({"sourceId": result.source_id}),
        "entitiesLoaded": result.loaded,
        "entitiesRemoved": result.removed,
        "duration": result.duration_ns,
        **_filled({"error": result.error.message if result.error is not None else None}),
    }


def revision_document(revision: Revision) -> Document:
    return {
        "version": revision.version,
        "hash": revision.hash,
        "timestamp": format_moment(revision.timestamp),
        "size": revision.size,
        "current": revision.current,
        **_filled({"author": revision.author, "reason": revision.reason}),
    }


def diagnosed_source(plugin: Plugin, source: Source, status: SourceStatus | None, next_at: int | None) -> Document:
    """What diagnostics say of one source."""
    document: Document = {
        "id": source.id,
        "name": source.name,
        "type": source.type,
        "state": state_of(source, status),
        "entityCount": status.entity_count if status else 0,
    }
    if status is not None:
        document |= _filled(
            {
                "lastRefreshTime": format_time(status.last_refresh_time),
                "lastRefreshDuration": status.duration_ms * 1_000_000,
                "entitiesLoaded": status.entities_loaded,
                "entitiesRemoved": status.entities_removed,
                "lastCommit": status.commit_sha,
                "problemCount": len(status.problems),
                "error": status.last_error,
            }
        )
    return {**document, **_filled({"nextRefreshTime": format_time(next_at)})}


def source_error(source: Source, status: SourceStatus) -> Document:
    """One entry of the error list of diagnostics."""
    return {
        "source": source.id,
        "message": status.last_error,
        "time": format_time(status.last_refresh_time),
        **_filled({"code": status.error_code}),
    }


def _filled(values: Mapping[str, Any]) -> Document:
    """Without what is empty: None, zero, and empty text, lists and objects (spec http-api.md 0.1)."""
    return {name: value for name, value in values.items() if value}


def format_time(milliseconds: int | None) -> str | None:
    """The same of milliseconds since the epoch; None stays."""
    if milliseconds is None:
        return None
    return format_moment(datetime.fromtimestamp(milliseconds / 1000, UTC))


def format_moment(moment: datetime) -> str:
    """RFC 3339 in UTC, with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
