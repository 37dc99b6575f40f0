"""The Hugging Face Hub: one file of a repository, by name."""

from __future__ import annotations

from pathlib import Path

from sifa_core.errors import CheckpointError

HUB_PREFIX = "hf://"
HUB_FILE = "model.safetensors"


def download(repository: str) -> Path:
    """`model.safetensors` of a Hub repository, from the local cache if it is there.

    Raises CheckpointError for a malformed name and where the file cannot be had.
    """
    import huggingface_hub  # only needed here, and slow to import
    from huggingface_hub.errors import HFValidationError

    try:
        return Path(huggingface_hub.hf_hub_download(repository, HUB_FILE))
    except HFValidationError as error:
        raise CheckpointError(
            f"{HUB_PREFIX}{repository} is no repository name; write {HUB_PREFIX}user/repo."
        ) from error
    except Exception as error:  # of the client and of what is below it: no network, a malformed proxy, a full disk
        raise CheckpointError(f"{HUB_PREFIX}{repository} cannot be downloaded: {reason(error)}") from error


def reason(error: Exception) -> str:
    """What an error of the Hub's client says: its first line, or its type where it has no words."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
