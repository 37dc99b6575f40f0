"""Makes packages impossible to import, as if they were not installed."""

from __future__ import annotations

BARE = ("av", "gradio", "captum", "plotly", "playwright")
"""Packages that a machine for training alone does not have."""

_BLOCKER = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {packages!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
"""


def blocking(*packages: str) -> str:
    """Python source after which `packages` cannot be imported, for the beginning of a script."""
    return _BLOCKER.format(packages=packages)
