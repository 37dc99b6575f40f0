"""Where the files lie that come with the package: kernels, weights, clips, recipes and the page.

In a clone they are the folders beside the package, in an installation a folder inside it (see pyproject.toml).
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_INSTALLED = _PACKAGE / "shipped"


def shipped(*parts: str) -> Path:
    """The file or folder `parts` of the repository, wherever it lies here."""
    root = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent
    return root.joinpath(*parts)


ASSETS = shipped("assets")
EXAMPLE_CLIPS = ASSETS / "clips"
CHECKPOINTS = ASSETS / "checkpoints"
