"""Where the files that come with the repository lie."""

from pathlib import Path

ASSETS = Path(__file__).resolve().parents[1] / "assets"
EXAMPLE_CLIPS = ASSETS / "clips"
CHECKPOINTS = ASSETS / "checkpoints"
