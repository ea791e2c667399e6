"""What every service of the protocol must have; docs/adding-a-service.md says how."""

from __future__ import annotations

import importlib
import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from lotwise.platform.ports import SERVICES
from lotwise.runtime.settings import ServiceSettings

ROOT = Path(__file__).parents[1]
FILES = ("__main__", "settings", "servicer", "handler", "metrics")
SERVICE = re.compile(r"^service (\w+)Service \{(.*?)^\}", re.MULTILINE | re.DOTALL)
RPC = re.compile(r"^\s*rpc (\w+)\s*\(", re.MULTILINE)


@dataclass(frozen=True)
class Declared:
    """A service as its proto file declares it."""

    proto: str
    title: str
    rpcs: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.title.lower()


DECLARED = [
    Declared(path.stem, title, tuple(RPC.findall(body)))
    for path in sorted((ROOT / "proto/lotwise/v1").glob("*.proto"))
    for title, body in SERVICE.findall(path.read_text(encoding="utf-8"))
]
every_service = pytest.mark.parametrize("service", DECLARED, ids=lambda service: service.name)


def module(service: Declared, file: str) -> ModuleType:
    return importlib.import_module(f"lotwise.{service.name}.{file}")


def settings_class(service: Declared) -> type[ServiceSettings]:
    here = module(service, "settings")
    own = [
        kind
        for _, kind in inspect.getmembers(here, inspect.isclass)
        if issubclass(kind, ServiceSettings) and kind.__module__ == here.__name__
    ]
    assert len(own) == 1, f"{here.__name__} must define one class of settings, not {own}"
    return own[0]


def test_protocol_declares_services_with_methods() -> None:
    assert len(DECLARED) >= 4
    assert [service.name for service in DECLARED if not service.rpcs] == []


def test_launcher_starts_the_declared_services() -> None:
    assert sorted(SERVICES) == sorted(service.name for service in DECLARED)


@every_service
def test_proto_file_is_named_as_its_service(service: Declared) -> None:
    assert service.proto == service.name


@every_service
def test_has_the_five_files(service: Declared) -> None:
    folder = ROOT / "services/lotwise" / service.name
    assert [file for file in FILES if not (folder / f"{file}.py").is_file()] == []


@every_service
def test_settings_have_the_services_prefix(service: Declared) -> None:
    prefix = settings_class(service).model_config.get("env_prefix")
    assert prefix == f"LOTWISE_{service.name.upper()}_"


@every_service
def test_every_setting_is_described(service: Declared) -> None:
    fields = settings_class(service).model_fields
    assert len(fields) > 0
    assert [name for name, field in fields.items() if not field.description] == []


@every_service
def test_servicer_implements_every_rpc(service: Declared) -> None:
    servicer = getattr(module(service, "servicer"), f"{service.title}Servicer")
    # The generated base has every method too, and answers UNIMPLEMENTED.
    assert [rpc for rpc in service.rpcs if rpc not in vars(servicer)] == []


@every_service
def test_main_builds_the_service_under_its_full_name(service: Declared) -> None:
    main = module(service, "__main__")
    assert f'"lotwise.v1.{service.title}Service"' in inspect.getsource(main.build)


@every_service
def test_has_tests(service: Declared) -> None:
    assert sorted((ROOT / "tests" / service.name).glob("test_*.py")) != []
