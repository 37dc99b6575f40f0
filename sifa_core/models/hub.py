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
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(huggingface_hub.hf_hub_download(repository, HUB_FILE))
    except HFValidationError as error:
        raise CheckpointError(
            f"{HUB_PREFIX}{repository} is no repository name; write {HUB_PREFIX}user/repo."
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{HUB_PREFIX}{repository} cannot be downloaded: {reason}") from error
