"""Putting a model on the Hugging Face Hub: weights, configuration, labels and a model card.

`load_model("hf://user/repo")` reads what `push_to_hub` writes: `model.safetensors` alone holds everything; the other
files are for people and for other programs.

The Hub client's own mixin is not used: it stores a constructor's arguments in a second file and makes loading a method
of each class, where one file has to tell the architecture, the labels and the training, from a path as from the Hub.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

from sifa_core.errors import ExportError
from sifa_core.models.base import VideoModel
from sifa_core.models.checkpoint import save_checkpoint
from sifa_core.models.hub import HUB_FILE, HUB_PREFIX, reason

LIBRARY = "sifa-explorer"
PAPER = (
    "https://openaccess.thecvf.com/content/CVPR2022/html/"
    "Long_Stand-Alone_Inter-Frame_Attention_in_Video_Models_CVPR_2022_paper.html"
)
SHOWN_LABELS = 20
"""Class names that a model card spells out."""


def push_to_hub(
    model: VideoModel,
    repository: str,
    *,
    facts: dict[str, Any] | None = None,
    license: str | None = None,
    private: bool = False,
    token: str | None = None,
    message: str = "Add the model",
) -> str:
    """Write a model to a repository of the Hub in one commit; make the repository if it is not there.

    Args:
        model: any model of this project.
        repository: "user/repo".
        facts: what the card and the file say about training and measurements; the model's own facts by default.
        license: the Hub's name of a licence, e.g. "mit"; none is claimed by default.
        private: whether a new repository is private.
        token: an access token; by default the one that `hf auth login` has saved.
        message: the commit's message.

    Returns:
        the repository's address.

    Raises:
        ExportError: a malformed name, no permission, or no connection.
    """
    import huggingface_hub  # slow to import
    from huggingface_hub import errors

    api = huggingface_hub.HfApi(token=token)
    try:
        with tempfile.TemporaryDirectory() as folder:
            write_repository(Path(folder), model, repository, facts=facts, license=license)
            address = api.create_repo(repository, private=private, exist_ok=True)
            api.upload_folder(repo_id=address.repo_id, folder_path=folder, commit_message=message)
        return str(address)
    except errors.HFValidationError as error:
        raise ExportError(f"{repository} is no repository name; write user/repo.") from error
    except (errors.HTTPError, OSError, ValueError) as error:  # ValueError: the Hub refuses the card, e.g. its licence
        raise ExportError(f"{HUB_PREFIX}{repository} cannot be written: {reason(error)}") from error


def write_repository(
    folder: Path, model: VideoModel, repository: str, *, facts: dict[str, Any] | None, license: str | None
) -> None:
    """Write the files of a repository into `folder`: model.safetensors, config.json, labels.json and README.md."""
    facts = model.info.facts if facts is None else facts
    save_checkpoint(folder / HUB_FILE, model, facts)
    (folder / "config.json").write_text(json.dumps(model.description(), indent=1) + "\n", encoding="utf-8")
    labels = json.dumps(model.info.labels, indent=1, ensure_ascii=False)
    (folder / "labels.json").write_text(labels + "\n", encoding="utf-8")
    (folder / "README.md").write_text(model_card(model, repository, facts, license), encoding="utf-8")


def model_card(model: VideoModel, repository: str, facts: dict[str, Any], license: str | None) -> str:
    """The Markdown of README.md, with the front matter that the Hub reads."""
    from huggingface_hub import ModelCardData

    data = ModelCardData(
        library_name=LIBRARY,
        pipeline_tag="video-classification",
        license=license,
        tags=["sifa", "inter-frame-attention", "deformable-attention", "interpretability"],
    )
    info = model.info
    parameters = sum(parameter.numel() for parameter in model.parameters())
    names = ", ".join(info.labels[:SHOWN_LABELS]) + (", …" if len(info.labels) > SHOWN_LABELS else "")
    lines = [
        f"# {repository}",
        f"`{info.name}`: a video network with [Stand-alone Inter-Frame Attention]({PAPER}) (Long et al., CVPR 2022), "
        f"{parameters / 1e6:.1f} M parameters. Input: {info.num_frames} frames whose short side is {info.input_size} "
        f"pixels, RGB normalised by mean {info.mean} and standard deviation {info.std}.",
        f'```python\nimport sifa_core as sifa\n\nmodel = sifa.load_model("{HUB_PREFIX}{repository}")\n'
        f'clip = sifa.read_clip("clip.mp4", num_frames={info.num_frames})\n'
        "sifa.analyze(model, clip).predictions\n```",
        f"{len(info.labels)} classes: {names}",
        "## Fields",
        _table(dataclasses.asdict(model.config)),
        "## Facts",
        _table(facts) if facts else "Nothing was recorded about training or accuracy.",
        "Attention weights say what a layer added up, not why the network decided.",
    ]
    return f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(lines) + "\n"


def _table(values: dict[str, Any]) -> str:
    rows = (f"| {key} | {json.dumps(value, ensure_ascii=False)} |".replace("\n", " ") for key, value in values.items())
    return "| name | value |\n|---|---|\n" + "\n".join(rows)
