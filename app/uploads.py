"""Files that visitors send. Only what was uploaded is read: a file component would fetch addresses, too."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import gradio as gr
from gradio import route_utils

SENTENCE = "Send the clip itself; this server fetches nothing from addresses, and forgets a file after ten minutes."


def only_uploads(component: gr.File) -> None:
    """Make the component refuse web addresses, which any caller of the API could have the server fetch otherwise."""
    keep = component.async_move_resource_to_block_cache

    async def refuse_addresses(path: Any) -> Any:
        if "://" in str(path):
            raise gr.Error(SENTENCE, print_exception=False)
        return await keep(path)

    setattr(component, "async_move_resource_to_block_cache", refuse_addresses)  # noqa: B010 - a method on an instance


class TidyParser(route_utils.GradioMultiPartParser):
    """Gradio's reader of uploads, which leaves nothing on the disk of one that fails, whatever it fails for."""

    async def parse(self) -> Any:
        """The form. Raises what Gradio's does."""
        try:
            return await super().parse()
        except BaseException:  # a sender who has gone cancels it
            for file in self._files_to_close_on_error:
                with contextlib.suppress(OSError):  # what is not written yet finds no room either
                    file.close()
                Path(file.name).unlink(missing_ok=True)
            raise


def tidy_uploads() -> None:
    """Have every upload of this process read by `TidyParser`."""
    setattr(route_utils, "GradioMultiPartParser", TidyParser)  # noqa: B010 - a class in another's module
