"""All routes, as lists: those of the server, then those of each plugin."""

from __future__ import annotations

from catalog_server.access.proxy import HeaderTrust
from catalog_server.http.openapi import Mode
from catalog_server.http.router import Route
from catalog_server.http.routes.actions import action_routes
from catalog_server.http.routes.assets import asset_routes
from catalog_server.http.routes.audit import audit_routes
from catalog_server.http.routes.discovery import discovery_routes
from catalog_server.http.routes.entities import entity_routes
from catalog_server.http.routes.governance import governance_routes
from catalog_server.http.routes.health import health_routes
from catalog_server.http.routes.home import home_routes
from catalog_server.http.routes.management import management_routes
from catalog_server.http.routes.models import model_routes
from catalog_server.http.routes.refreshes import job_routes, refresh_routes
from catalog_server.http.routes.sources import source_routes
from catalog_server.http.routes.spec import spec_routes
from catalog_server.http.routes.tenancy import tenancy_routes
from catalog_server.http.services import Services


def build_routes(services: Services) -> list[Route]:
    """Every route of this process."""
    routes = [
        *health_routes(services),
        *discovery_routes(services),
        *tenancy_routes(services),
        *job_routes(services),
        *audit_routes(services),
        *governance_routes(services),
        *asset_routes(services),
    ]
    for plugin in services.registry:
        routes += entity_routes(services, plugin)
        routes += source_routes(services, plugin)
        routes += management_routes(services, plugin)
        routes += refresh_routes(services, plugin)
        routes += action_routes(services, plugin)
        if plugin.kind.slashes_in_names:
            routes += model_routes(services, plugin)
    routes += home_routes(services)
    return [*routes, *spec_routes(routes, _mode(services))]


def _mode(services: Services) -> Mode:
    is_reviewed = services.authorization_mode == "sar"
    return Mode(
        multi_tenant=services.tenancy_mode != "single",
        # Where the cluster decides, it decides who may know of a namespace, too.
        namespaces=() if is_reviewed else services.namespaces,
        reviewed=is_reviewed,
        takes_tokens=not isinstance(services.trust, HeaderTrust),
    )
