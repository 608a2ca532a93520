"""What hatchling does when it builds the wheel: it puts in the list of integrations, for apps frozen into one file."""

from __future__ import annotations

import runpy
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "src/ragmeter"
CLIENTS = "reading/clients"


class RegisterHook(BuildHookInterface[Any]):
    """Puts the list into a wheel as `reading/clients/_register.py`; an editable one reads the folder."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the list beside the project, and have it put into the wheel."""
        if version == "editable":
            return
        package = Path(self.root) / PACKAGE
        register_of = runpy.run_path(str(package / "freezing" / "register.py"))["register_of"]
        written = Path(mkdtemp()) / "_register.py"
        written.write_text(register_of(package / CLIENTS), encoding="utf-8")
        build_data["force_include"][str(written)] = f"ragmeter/{CLIENTS}/_register.py"
