"""What has become of a target, and who stands before it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class PatchState(StrEnum):
    """Where a target stands: waiting for its module, wrapped, not in this version, skipped by the settings.

    `shadowed`: wrapped, but a function of others leads calls past the wrapper.
    """

    WAITING = "waiting"
    PATCHED = "patched"
    ABSENT = "absent"
    SKIPPED = "skipped"
    SHADOWED = "shadowed"


@dataclass(frozen=True, slots=True)
class Front:
    """A function of others that calls meet before ours: where it stands, who made it, and whether it leads to ours."""

    path: str
    maker: str
    leads_to_ours: bool

    def __str__(self) -> str:
        return f"{self.path} by {self.maker}"
