"""Files that visitors send. Only what was uploaded is read: a file component would fetch addresses, too."""

from __future__ import annotations

from typing import Any

import gradio as gr

SENTENCE = "Send the clip itself; this server fetches nothing from addresses, and forgets a file after ten minutes."


def only_uploads(component: gr.File) -> None:
    """Make the component refuse web addresses, which any caller of the API could have the server fetch otherwise."""
    keep = component.async_move_resource_to_block_cache

    async def refuse_addresses(path: Any) -> Any:
        if "://" in str(path):
            raise gr.Error(SENTENCE, print_exception=False)
        return await keep(path)

    setattr(component, "async_move_resource_to_block_cache", refuse_addresses)  # noqa: B010 - a method on an instance
