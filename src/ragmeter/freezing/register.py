"""The list of integrations that is written into the wheel, for an app frozen into one file has no folder to look into.

Run when the wheel is built (`hatch_build.py`), in no app.
"""

from __future__ import annotations

from pathlib import Path

PAGE = '''"""Written when this wheel was built: the integrations in the folder beside it."""

NAMES = ({names},)


def _imports_for_freezers() -> None:
    """Never called: tools that freeze an app take in the modules whose imports they find in its code."""
    from ragmeter.reading.clients import {modules}
'''


def register_of(folder: Path) -> str:
    """The module that lists the integrations of a folder, and imports them."""
    names = sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))
    return PAGE.format(names=", ".join(f'"{name}"' for name in names), modules=", ".join(names))
