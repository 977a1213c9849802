"""The parts that sources are made of: where their configuration is kept, who fetches them, where secrets come from."""

from __future__ import annotations

import os
from pathlib import Path

import structlog

from catalog_server.catalog.configuration import ConfigReader
from catalog_server.catalog.fetcher import Fetcher
from catalog_server.catalog.registry import Registry
from catalog_server.errors import Invalid
from catalog_server.kube.client import KubeClient
from catalog_server.providers.base import Provider
from catalog_server.providers.git import GitProvider
from catalog_server.providers.http import HTTPLimits, HTTPProvider
from catalog_server.providers.huggingface import HubPolicy, HuggingFaceProvider
from catalog_server.providers.yaml import YAMLProvider
from catalog_server.settings import Settings
from catalog_server.sources.paths import Roots, default_roots, read_file
from catalog_server.sources.secrets import FolderSecrets, KubernetesSecrets, NoSecrets, SecretSource
from catalog_server.sources.stores.base import Store
from catalog_server.sources.stores.file import FileStore
from catalog_server.sources.stores.history import FOLDER
from catalog_server.sources.stores.kubernetes import ConfigMapStore, Place
from catalog_server.sources.stores.none import MemoryStore
from catalog_server.sources.stores.replacing import AtStep, no_step

log = structlog.get_logger(__name__)


def build_reader(
    settings: Settings, cluster: KubeClient | None, registry: Registry, at_step: AtStep = no_step
) -> ConfigReader:
    """What reads the configuration: the store, and the files that are put over it."""
    store = _build_store(settings, cluster, at_step)
    problem = store.is_writable()
    if problem is not None:
        log.warning("the source configuration cannot be changed over the API", reason=problem)
    return ConfigReader(store, settings.paths.sources[1:], [plugin.section_key for plugin in registry])


def _build_store(settings: Settings, cluster: KubeClient | None, at_step: AtStep) -> Store:
    config, file = settings.config_store, settings.paths.sources[0].absolute()
    try:
        if config.mode == "k8s":
            assert cluster is not None
            place = Place(config.namespace, config.configmap_name, config.configmap_key)
            return ConfigMapStore(cluster, place, initial=lambda: read_file(file))
        if config.mode == "file":
            return FileStore(file, at_step=at_step)
        return MemoryStore(lambda: read_file(file), origin=str(file))
    except Invalid as error:
        raise Invalid(f"--sources: {file}: {error.reason}", field="--sources") from error


def local_files(settings: Settings) -> tuple[Path, ...]:
    """The files whose change is a change of the configuration."""
    files = settings.paths.sources
    return tuple(files[1:] if settings.config_store.mode == "k8s" else files)


def build_fetcher(settings: Settings, cluster: KubeClient | None) -> Fetcher:
    return Fetcher(
        providers=_build_providers(settings),
        secrets=_build_secrets(settings, cluster),
        roots=_roots(settings),
        base=settings.paths.sources[0].absolute().parent,
        max_file_bytes=settings.limits.max_file_bytes,
    )


def _build_providers(settings: Settings) -> dict[str, Provider]:
    data_dir, max_bytes = settings.paths.data_dir, settings.limits.max_file_bytes
    given = settings.providers
    hosts = frozenset(given.hf_hosts)
    tokens = {"HF_API_KEY": given.hf_api_key, "HF_TOKEN": given.hf_token}
    return {
        "yaml": YAMLProvider(),
        "git": GitProvider(data_dir / "git"),
        "http": HTTPProvider(
            data_dir / "http", HTTPLimits(max_bytes=max_bytes), allowed_networks=given.allowed_networks
        ),
        "hf": HuggingFaceProvider(
            max_bytes=max_bytes,
            environment_tokens={name: token for name, token in tokens.items() if token.reveal()},
            policy=HubPolicy(token_hosts=hosts, http_hosts=hosts, allowed_networks=given.allowed_networks),
        ),
    }


def _build_secrets(settings: Settings, cluster: KubeClient | None) -> SecretSource:
    is_shared = settings.tenancy.mode != "single"
    if settings.paths.secrets_dir is not None:
        return FolderSecrets(settings.paths.secrets_dir, is_shared=is_shared)
    if cluster is None:
        return NoSecrets()
    allowed = settings.providers.secret_namespaces
    return KubernetesSecrets(cluster, settings.config_store.namespace, allowed_namespaces=allowed, is_shared=is_shared)


def _roots(settings: Settings) -> Roots:
    """The folders that sources may read from: as set, else those that belong to each sources file."""
    paths = settings.paths
    folders = paths.data_roots or [path for file in paths.sources for path in default_roots(file).paths]
    return Roots(tuple(dict.fromkeys(folders)), _own_files(settings))


def _own_files(settings: Settings) -> tuple[Path, ...]:
    """What a source must not be made of, though it lies beside catalog files: who could apply it could read it."""
    paths = settings.paths
    files = [Path(os.path.realpath(file)) for file in paths.sources]
    own = [*files, *(file.parent / FOLDER for file in files)]
    # A set-up that keeps everything in one folder has to be able to read its catalog files.
    own += [folder for folder in (paths.data_dir, paths.secrets_dir) if folder and not _holds(folder, files)]
    return tuple(own)


def _holds(folder: Path, files: list[Path]) -> bool:
    return any(file.is_relative_to(os.path.realpath(folder)) for file in files)
