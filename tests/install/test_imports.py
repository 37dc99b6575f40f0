"""What can be imported without the packages that only some of the work needs, and what the public names come to.

Everything runs in interpreters of their own, because this one has long imported everything.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.install.bare import BARE, blocking

REPOSITORY = Path(__file__).resolve().parents[2]
LAZY = (
    "sifa_core",
    "sifa_core.data",
    "sifa_core.data.datasets",
    "sifa_core.data.motion15",
    "sifa_core.training",
)


def run(script: str, *, without: tuple[str, ...] = ()) -> str:
    """Standard output of `script` in an interpreter in which the packages `without` cannot be imported."""
    code = blocking(*without) + textwrap.dedent(script)
    result = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ("torch", "numpy", "cv2", "yaml", "matplotlib", "accelerate", "huggingface_hub", *BARE)
    loaded = run(
        f"""
        import sifa_core
        print(*(name for name in {heavy} if name in sys.modules))
        """
    )
    assert loaded.split() == []


def test_the_command_line_is_read_before_anything_heavy_is_loaded() -> None:
    loaded = run(
        f"""
        from sifa_core.cli import main
        try:
            main(["app", "--help"])
        except SystemExit:
            print("loaded:", *(name for name in {("torch", "numpy", "cv2", *BARE)} if name in sys.modules))
        """
    )
    assert loaded.endswith("loaded:\n")


def test_models_are_built_without_what_reads_videos() -> None:
    loaded = run(
        f"""
        import sifa_core
        sifa_core.create_model("sifa_net_tiny")
        print(*(name for name in {("cv2", "yaml", "matplotlib", "accelerate", *BARE)} if name in sys.modules))
        """
    )
    assert loaded.split() == []


def test_the_blocker_blocks() -> None:
    with pytest.raises(AssertionError, match="No module named 'av'"):
        run("import sifa_core; sifa_core.read_clip", without=BARE)


def test_operator_models_and_training_work_without_video_and_page_packages(tmp_path: Path) -> None:
    out = run(
        f"""
        import torch
        import sifa_core as sifa
        import sifa_core.data.datasets, sifa_core.explain, sifa_core.models, sifa_core.ops, sifa_core.profile
        from sifa_core.training import evaluate, load_config, offset_report, train

        query = torch.randn(1, 8, 5, 5)
        aggregate, weights = sifa.sifa_attention(query, query, torch.zeros(1, 18, 5, 5))
        assert aggregate.shape == query.shape and weights.shape == (1, 9, 5, 5)
        config = load_config(
            "configs/motion15_sifa_net_tiny.yaml",
            ["run.steps=1", "run.batch=2", "data.epoch_size=16", "data.val_size=2", "run.out={tmp_path}"],
        )
        result = train(config)
        print(type(result).__name__)
        """,
        without=BARE,
    )
    assert "TrainResult" in out
    assert list(tmp_path.rglob("*.safetensors"))
    assert (tmp_path / "evaluation.json").is_file()
    assert not (tmp_path / "confusion.html").exists()  # said in a warning


def test_tests_are_collected_without_video_and_page_packages() -> None:
    out = run(
        """
        folders = ["tests/ops", "tests/cuda", "tests/models", "tests/layers"]
        import sys, pytest
        sys.exit(pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", *folders]))
        """,
        without=BARE,
    )
    for folder in ("ops", "cuda", "models", "layers"):
        assert f"tests/{folder}/test_" in out


@pytest.mark.parametrize("name", LAZY)
def test_public_names_are_written_once_for_the_checker_and_once_for_the_interpreter(name: str) -> None:
    package = importlib.import_module(name)
    tree = ast.parse(Path(package.__file__ or "").read_text(encoding="utf-8"))
    imported = {
        alias.name: node.module
        for statement in tree.body
        for node in (statement.body if isinstance(statement, ast.If) else [statement])
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    for public in set(package.__all__) - {"__version__"}:
        value = getattr(package, public)
        assert getattr(importlib.import_module(imported[public] or ""), public) is value
        assert public in dir(package)
    lazy = {
        alias.name for branch in tree.body if isinstance(branch, ast.If) for node in branch.body for alias in node.names
    }
    assert lazy
    assert not lazy & modules, "importing a module of that name would hide the public name"
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = package.no_such_name


@pytest.mark.parametrize(
    ("command", "package", "sentence"),
    [
        (["train", "configs/motion15_sifa_net_tiny.yaml"], "accelerate", 'pip install "sifa-explorer[train]"'),
        (["evaluate", "--config", "motion15_sifa_net_tiny"], "omegaconf", "which sifa-explorer installs"),
        (["predict", "assets/clips/cockatoo_moves_right.mp4"], "av", "which sifa-explorer installs"),
        (["app", "--device", "cpu"], "gradio", 'pip install "sifa-explorer[app]"'),
    ],
)
def test_a_command_names_the_extra_that_it_lacks(command: list[str], package: str, sentence: str) -> None:
    said = run(
        f"""
        from contextlib import redirect_stderr
        from sifa_core.cli import main
        with redirect_stderr(sys.stdout):
            code = main({command})
        assert code == 2, code
        """,
        without=(package,),
    )
    (line,) = said.splitlines()
    assert line.startswith(f"error: This needs the package {package}")
    assert sentence in line
