"""Where things are."""

from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parent
PEERS: Final = HERE / ".peers"
RESULTS: Final = HERE / "results"
REQUIREMENTS: Final = HERE / "peers" / "requirements"
PLOTS: Final = ROOT / "docs" / "plots"
FIGURES: Final = HERE / "figures.json"
