"""The contributing guide's example works as it stands: one file and one line, followed in a copy of the package."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")

CHECK = """
import torch
import sifa_core as sifa
from sifa_core.layers import temporal_names

assert "frame_average" in temporal_names()
{use}
blocks = [name for name, module in net.named_modules() if type(module).__name__ == "FrameAverage"]
assert blocks == ["layer4.0.temporal", "layer4.1.temporal", "layer4.2.temporal"], blocks

module = net.layer4[0].temporal.double()
x = torch.randn(6, 512, 2, 3, dtype=torch.float64)
assert torch.equal(module(x, 3), x)
torch.nn.init.ones_(module.gain)
for row, before in enumerate([0, 0, 1, 3, 3, 4]):
    assert torch.allclose(module(x, 3)[row], (x[row] + x[before]) / 2)

small = sifa.create_model("sifa_net_tiny", width=8, temporal="frame_average")
small(torch.randn(1, 3, 8, 33, 40)).sum().backward()
print("followed")
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


@pytest.fixture
def copy(tmp_path) -> Path:
    """The package in a folder of its own, to be changed as the guide says."""
    shutil.copytree(ROOT / "sifa_core", tmp_path / "sifa_core", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.mark.slow
def test_a_module_takes_one_file_and_one_line(copy):
    module, use = blocks("python")
    (path,) = re.findall(r"One file\*\*, here `(.+?)`", GUIDE)
    assert not (copy / path).exists()
    (copy / path).write_text(module, encoding="utf-8")

    (change,) = blocks("diff")
    before = "".join(line[1:] for line in change.splitlines(keepends=True) if line[0] != "+")
    after = "".join(line[1:] for line in change.splitlines(keepends=True))
    assert len(after.splitlines()) == len(before.splitlines()) + 1
    (listing,) = re.findall(r"One line\*\* in `(.+?)`", GUIDE)
    listed = (copy / listing).read_text(encoding="utf-8")
    assert listed.count(before) == 1
    (copy / listing).write_text(listed.replace(before, after), encoding="utf-8")

    script = copy / "check.py"
    script.write_text(CHECK.format(use=use), encoding="utf-8")
    done = subprocess.run([sys.executable, script], cwd=copy, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "followed", done.stderr


def test_what_the_guide_names_is_there():
    for path in re.findall(r"`((?:sifa_core|tests)/[\w/.]+)`", GUIDE):
        assert (ROOT / path).exists() or "frame_average" in path, path
    targets = re.findall(r"^make (\w+)", "\n".join(blocks("sh")), re.MULTILINE)
    rules = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert targets
    assert all(re.search(rf"^{target}:", rules, re.MULTILINE) for target in targets)
