"""What PyInstaller is told, through its entry point `pyinstaller40`, so that a frozen app is measured as others are."""

from __future__ import annotations

from pathlib import Path


def hook_folders() -> list[str]:
    """The folder with the hook that PyInstaller runs when an app imports ragmeter."""
    return [str(Path(__file__).parent)]
