"""The wheel in an environment outside the repository, used as somebody would who has never seen it: `make wheel-check`.

pip installs it with all extras from the packages of this interpreter, which the new environment sees through a .pth
file; so nothing is downloaded, and the declared ranges are checked. The page is looked at in Chromium.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import textwrap
import time
import venv
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.steps import ask, open_example, state, wait_for_viewer
from tests.install.bare import BARE, blocking

REPOSITORY = Path(__file__).resolve().parents[2]
SHIPPED = ("app", "assets", "configs", "cuda")
NOT_SHIPPED = ("assets/ablation/", "assets/readme/")
"""Weights to start an experiment from, and pictures of the documentation."""
EXTRAS = "app,onnx,train"
LARGEST_MB = 40
CLIP = "person_walks_left_close"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(folder),
        ".",
    ]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment's folder with the programs."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    programs = folder / "bin"
    own = subprocess.run(
        [programs / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    )
    (Path(own.stdout.strip()) / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    command = [str(programs / "python"), "-m", "pip", "install", "--no-index", f"{wheel}[{EXTRAS}]"]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    return programs


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one clip in it."""
    folder = tmp_path_factory.mktemp("elsewhere")
    shutil.copy(REPOSITORY / "assets" / "clips" / f"{CLIP}.mp4", folder / "clip.mp4")
    return folder


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment variables: kernels are compiled anew, and nothing leads back to the repository."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**inherited, "SIFA_CACHE_DIR": str(tmp_path_factory.mktemp("cache"))}


@pytest.fixture(scope="module")
def run(environment: Path, elsewhere: Path, variables: dict[str, str]) -> Run:
    """run(program, *arguments) runs a program of the environment in the folder with the clip."""

    def call(program: str, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [str(environment / program), *arguments]
        result = subprocess.run(command, cwd=elsewhere, env=variables, capture_output=True, text=True)
        assert result.returncode == code, result.stdout + result.stderr
        return result

    return call


def test_the_wheel_holds_one_package_with_every_file_that_it_needs(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "sifa_core", *SHIPPED]
    listing = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    tracked = [name for name in listing.splitlines() if (REPOSITORY / name).is_file()]
    wanted = {
        name if name.startswith("sifa_core/") else f"sifa_core/shipped/{name}"
        for name in tracked
        if not name.startswith(NOT_SHIPPED)
    }
    assert wanted == {name for name in names if ".dist-info/" not in name}
    assert wheel.stat().st_size < LARGEST_MB * 1e6


def test_what_is_used_is_what_was_installed(run: Run, environment: Path) -> None:
    out = run(
        "python", "-c", "import sifa_core; from sifa_core import ops, paths; print(sifa_core.__file__, paths.ASSETS)"
    ).stdout
    for path in out.split():
        assert Path(path).is_relative_to(environment.parent)


def test_the_cpu_kernel_is_compiled_from_the_wheel(run: Run) -> None:
    assert run("python", "-c", "from sifa_core import ops; print(ops.backend('cpu'))").stdout.strip() == "cpu"


def test_predict(run: Run) -> None:
    for command in (["sifa"], ["python", "-m", "sifa_core"]):
        (clip,) = json.loads(run(*command, "predict", "clip.mp4", "--views", "1", "--device", "cpu", "--json").stdout)[
            "clips"
        ]
        label, probability = clip["predictions"][0]
        assert (label, probability > 0.5) == ("object moves left", True)


def test_explain(run: Run, elsewhere: Path) -> None:
    run("sifa", "explain", "clip.mp4", "--device", "cpu", "--out", "walk.html", "walk.png")
    assert "<!doctype html>" in (elsewhere / "walk.html").read_text(encoding="utf-8").lower()
    assert (elsewhere / "walk.png").read_bytes().startswith(b"\x89PNG")


def test_train_by_the_name_of_a_recipe(run: Run, elsewhere: Path) -> None:
    sizes = ["run.steps=1", "run.batch=2", "data.epoch_size=16", "data.val_size=2", "data.workers=0"]
    run("sifa", "train", "motion15_sifa_net_tiny", *sizes, "run.out=trained", "run.mixed_precision=no")
    assert (elsewhere / "trained" / "model.safetensors").is_file()


def test_bench_needs_the_repository(run: Run) -> None:
    said = run("sifa", "bench", code=2).stderr
    assert said.startswith("error: The benchmarks are in the repository")
    assert said.count("\n") == 1


@pytest.fixture
def page_address(environment: Path, elsewhere: Path, variables: dict[str, str]) -> Iterator[str]:
    """The address at which `sifa app` serves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    log = elsewhere / "log.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(environment / "sifa"), "app", "--port", port, "--device", "cpu"],
            cwd=elsewhere,
            env=variables,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    deadline = time.monotonic() + 90
    while "is ready at" not in log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"The server did not start:\n{log.read_text()}")
        time.sleep(0.1)
    yield log.read_text().split("is ready at")[1].split()[0]
    process.terminate()
    process.wait(timeout=20)


def test_the_page_explores_an_example(page_address: str, browser: Browser) -> None:
    page = browser.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(page_address)
    wait_for_viewer(page)
    open_example(page, CLIP)
    ask(page, 0.5, 0.5)
    assert len(state(page)["pins"]) == 1
    assert complaints == []
    page.close()


def test_operator_and_models_without_video_and_page_packages(run: Run) -> None:
    script = """
    import torch
    import sifa_core.models, sifa_core.ops
    from sifa_core import load_model, sifa_attention

    with torch.inference_mode():
        print(load_model("sifa_net_tiny")(torch.zeros(1, 3, 16, 32, 32)).shape)
    """
    out = run("python", "-c", blocking(*BARE) + textwrap.dedent(script)).stdout
    assert out.strip() == "torch.Size([1, 15])"
