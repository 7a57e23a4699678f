"""Load commands only when they are called, because dlt, dbt and others take seconds to import."""

import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """Map command names to locations "module:function" in this package."""

    def __init__(self, *args: Any, locations: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.locations = locations

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.locations)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        return load_command(self.locations[name]) if name in self.locations else None


def load_command(location: str) -> click.Command:
    """Import the command at "module:function"."""
    module, _, function = location.partition(":")
    return getattr(importlib.import_module(f"pipeline.cli.{module}"), function)
