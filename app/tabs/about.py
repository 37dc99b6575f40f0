"""The About tab: what the model is and is not, where it runs, limits, privacy, licences, and the paper's own figures.

Everything that a checkpoint says about itself is untrusted text: it is escaped here, never rendered as Markdown.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from html import escape
from pathlib import Path

import gradio as gr
import torch

from app.bundle import host
from app.charts import DATASETS
from app.service import CACHE_BYTES, MAX_SHORT_SIDE
from app.temporary import UPLOAD_SECONDS
from sifa_core import __version__
from sifa_core.data import Limits
from sifa_core.models import ModelInfo, VideoModel
from sifa_core.ops import backend
from sifa_core.paths import ASSETS, CHECKPOINTS

BACKENDS = {
    "cpu": "C++ for this processor, built by the machine's own compiler",
    "cuda": "CUDA C++, compiled on this machine for its GPU",
    "dense": "the portable form in plain PyTorch",
    "reference": "the reference in plain PyTorch, which is the slow definition that all others are tested against",
}
LONGEST_FACTS = 6000
"""Characters shown of what a checkpoint says about itself."""
STATUS = {
    "demo": "The small model that comes with this program. Its weights were trained for this project.",
    "own": "Weights from a file of whoever runs this page. What is said of them here is what the file says of itself.",
    "untrained": "Random weights. Nothing has been learned: points and maps show how the method works, and predictions "
    "would mean nothing, so they are hidden.",
}


def build(model: VideoModel) -> None:
    """Fill the tab."""
    card = model_card(model.info)
    with gr.Column(elem_id="about"):
        with gr.Row(elem_classes="about-top"):
            gr.HTML(about_model(model), elem_classes="panel")
            gr.HTML(about_server(model) + privacy(), elem_classes="panel")
        if card:
            with gr.Accordion("The model card: how it was trained, how well it does, and where it fails", open=False):
                gr.Markdown(card, sanitize_html=True, latex_delimiters=[], elem_classes="card-text")
        gr.HTML(maps_shown(), elem_classes="panel")
        with gr.Column(elem_id="about-paper"):
            gr.HTML(
                "<h2>Accuracy against cost in the paper</h2><p>Tables 2 to 4 as printed: models trained on these data "
                "sets on many GPUs. The model on this page is a small one, trained on other clips for other classes; "
                "its figures cannot be compared with these, so it is not among them.</p>"
            )
            host("costs", value=list(DATASETS.items()))
        gr.HTML(licences(), elem_classes="panel")


def about_model(model: VideoModel) -> str:
    """What the model is, in HTML."""
    info = model.info
    parameters = sum(parameter.numel() for parameter in model.parameters())
    facts = [
        ("Architecture", escape(info.name)),
        ("Parameters", f"{parameters:,}"),
        ("A clip is", f"{info.num_frames} frames, short side {info.input_size} pixels"),
        ("SIFA layers", escape(", ".join(model.sifa_layers()))),
    ]
    if info.source:
        facts.append(("Weights", f"<bdi>{escape(info.source)}</bdi>"))
    if info.sha256:
        facts.append(("Hash", f"<code>{escape(info.sha256)}</code>"))
    return (
        f"<h2>This model</h2><p>{escape(STATUS[info.status])}</p>{_facts(facts)}"
        f"{_classes(info)}{_own_words(info) if info.status == 'own' else ''}"
    )


def _classes(info: ModelInfo) -> str:
    if not info.is_trained:
        return ""
    chips = "".join(f"<li><bdi>{escape(label)}</bdi></li>" for label in info.labels)
    return (
        f"<h2>What it can say</h2><p>One of these {len(info.labels)} classes, and nothing else. It must choose one "
        "even where none of them fits, or several do. A high probability means that the other classes fit worse, not "
        f"that it is right.</p><ul class='chips'>{chips}</ul>"
    )


def _own_words(info: ModelInfo) -> str:
    if not info.facts:
        return "<h2>What the file says of itself</h2><p>Nothing.</p>"
    text = json.dumps(info.facts, indent=1, ensure_ascii=False, default=str)
    if len(text) > LONGEST_FACTS:
        text = text[:LONGEST_FACTS] + " …"
    return f"<h2>What the file says of itself</h2><p>Unchecked.</p><pre tabindex='0'><bdi>{escape(text)}</bdi></pre>"


def model_card(info: ModelInfo) -> str:
    """The Markdown card of shipped weights, without its title; empty for any others."""
    path = CHECKPOINTS / "MODEL_CARD.md"
    if info.status != "demo" or not path.is_file():
        return ""
    title, _, text = path.read_text(encoding="utf-8").partition("\n")
    return text.strip() if title.removeprefix("#").strip() == info.source else ""


def _threads() -> str:
    count = torch.get_num_threads()
    return f"{count} thread{'s' if count > 1 else ''}"


def maps_shown() -> str:
    """What each map shows, and whether to trust it, in HTML."""
    rows = [
        (
            "Sampling points",
            "Where the query reads the next frame, and how much of each place is added to it. They say what a layer "
            "summed up, not why the network decided.",
        ),
        (
            "Motion",
            "What moves from one feature frame to the next: what motion adds in Eq. 5, of all stages together. "
            "On drawn clips, whose truth is known, both it and its brightest point lie on what moves more often than "
            "those of the plain difference of two frames.",
        ),
        (
            "Motion saliency (Eq. 5)",
            "The paper's map, from which most layers compute their offsets. Half of every feature stays in it where "
            "nothing moves, so it is mostly appearance, and lies on what moves hardly more often than by chance.",
        ),
        (
            "Class evidence",
            "Which places the score of a class rests on. The default follows the score from a still picture to the "
            "moving clip; on drawn clips it lies on what moves more often than the difference of two frames, its "
            "brightest point a little less often. It says where, and nearly the same for most classes, so not why. "
            "Grad-CAM is the paper's, and on small maps worse than the difference of two frames. The test below the "
            "viewer says "
            "whether a picture can be believed.",
        ),
    ]
    return f"<h2>What the maps show</h2>{_facts([(name, escape(words)) for name, words in rows])}"


def about_server(model: VideoModel) -> str:
    """Where the model runs, and what it takes, in HTML."""
    device = next(model.parameters()).device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _threads()
    used = backend(device)
    limits = Limits()
    running = [
        ("Device", f"{escape(device.type)}, {escape(name)}"),
        ("SIFA operator", f"<b>{escape(used)}</b>: {escape(BACKENDS[used])}"),
        ("Versions", f"SIFA Explorer {escape(__version__)}, PyTorch {escape(torch.__version__)}"),
    ]
    accepted = [
        ("File", f"up to {limits.max_bytes / 1e6:.0f} MB"),
        ("Length", f"up to {limits.max_seconds:.0f} s and {limits.max_frames:,} frames"),
        (
            "Picture",
            f"up to {limits.max_pixels / 1e6:.1f} million pixels, sides at most {limits.max_aspect_ratio:.0f} : 1",
        ),
        ("Shown", f"reduced to a short side of {MAX_SHORT_SIDE} pixels; {model.info.num_frames} frames of the clip"),
    ]
    return f"<h2>Where it runs</h2>{_facts(running)}<h2>Limits</h2>{_facts(accepted)}"


def privacy() -> str:
    """What becomes of an upload, in HTML."""
    minutes, megabytes = UPLOAD_SECONDS / 60, CACHE_BYTES / 1e6
    return (
        "<h2>Privacy</h2><p>A clip that you add goes to the server that runs this page and to nobody else: the page "
        "asks no other machine for anything, sets no cookies and counts no visitors. The file is deleted after about "
        f"{minutes:.0f} minutes. The frames that the network saw, reduced, and its numbers stay in memory until they "
        f"make room for those of others (all visitors share {megabytes:.0f} MB) or the server stops; only your own "
        "page can find them. Links carry example clips only.</p>"
    )


def licences() -> str:
    """Who made what comes with the program, in HTML."""
    clips = "".join(
        f"<tr><td>{escape(Path(row['file']).name)}</td><td>{escape(row['attribution'])}</td>"
        f"<td>{escape(row['licence'])}</td></tr>"
        for row in _manifest(ASSETS / "MANIFEST.tsv")
    )
    material = Counter((row["attribution"], row["licence"]) for row in _manifest(ASSETS / "motion" / "MANIFEST.tsv"))
    drawn = "".join(
        f"<tr><td>{count}</td><td>{escape(attribution)}</td><td>{escape(licence)}</td></tr>"
        for (attribution, licence), count in material.most_common()
    )
    return (
        "<h2>Licences and attribution</h2><p>The program is under the MIT licence. It builds the method of "
        "<i>Stand-Alone Inter-Frame Attention in Video Models</i> (Fuchen Long, Zhaofan Qiu, Yingwei Pan, Ting Yao, "
        "Jiebo Luo, Tao Mei; CVPR 2022) anew; the paper's authors have no part in it.</p>"
        "<div class='wide' tabindex='0' role='region' aria-label='Example clips'>"
        "<table><caption>Example clips</caption><thead><tr><th>file</th><th>by</th><th>licence</th>"
        f"</tr></thead><tbody>{clips}</tbody></table></div>"
        "<details><summary>Sprites and photographs that training clips are drawn from</summary>"
        "<div class='wide' tabindex='0' role='region' aria-label='Sprites and photographs'>"
        "<table><thead><tr><th>pictures</th><th>by</th><th>licence</th></tr></thead>"
        f"<tbody>{drawn}</tbody></table></div></details>"
    )


def _manifest(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def _facts(rows: list[tuple[str, str]]) -> str:
    """A list of names and values; values are HTML."""
    items = "".join(f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>" for name, value in rows)
    return f"<dl class='facts-list'>{items}</dl>"
