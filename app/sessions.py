"""What Gradio keeps of a browser: its state, and not the last value of every component as well.

Gradio keeps a configuration of the whole page for each of many sessions, for links that restore it; this page has none.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gradio as gr
from gradio import route_utils, state_holder


class LeanSession(state_holder.SessionState):
    """State of one browser, a few kilobytes instead of more than a hundred and the last answers."""

    def __init__(self, blocks: gr.Blocks) -> None:
        components: dict[int, Any] = {}
        super().__init__(SimpleNamespace(default_config=blocks.default_config, blocks=components))  # type: ignore[arg-type]
        self.config_values = _Nothing()

    def _update_config(self, key: int) -> None:
        pass

    def _update_value_in_config(self, key: int, value: Any) -> None:
        pass


class _Nothing(dict[int, dict[str, Any]]):
    def __setitem__(self, key: int, value: dict[str, Any]) -> None:
        pass


def use_lean_sessions() -> None:
    """Have every session of this process be a `LeanSession`."""
    for module in (state_holder, route_utils):
        setattr(module, "SessionState", LeanSession)  # noqa: B010 - a class in another's module
