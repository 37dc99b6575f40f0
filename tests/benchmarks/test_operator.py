"""The benchmark compares like with like, and its sums are right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import ceilings, formulations, gpu_check, report
from sifa_core.cli import main

SHAPE = (2, 8, 5, 6)


@pytest.mark.parametrize("formulation", [formulations.by_grid_sample, formulations.by_dense])
def test_formulations_compute_what_the_operator_computes(formulation: formulations.Formulation) -> None:
    *given, grad = formulations.make_inputs(SHAPE, torch.float64)
    results = []
    for function in (formulation, formulations.ours):
        inputs = [t.detach().requires_grad_() for t in given]
        outputs = function(*inputs)
        results.append((*outputs, *torch.autograd.grad(outputs[0], inputs, grad)))
    for theirs, ours in zip(*results, strict=True):
        torch.testing.assert_close(theirs, ours, rtol=1e-9, atol=1e-9)


def test_work_of_one_place_counted_by_hand() -> None:
    work = ceilings.work((1, 2, 1, 1), kernel_size=1, backward=False)
    # Per channel: 7 operations to blend four cells, 2 for the dot product, 2 for the sum.
    assert work.operations == 22
    # query, memory and aggregate of two channels; two offsets and one weight; 4 bytes each.
    assert work.memory == 4 * (3 * 2 + 3)
    both = ceilings.work((1, 2, 1, 1), kernel_size=1, backward=True)
    assert both.operations == 22 + 62


def test_nothing_is_faster_than_its_multiply_adds() -> None:
    found = ceilings.measure()
    assert min(found) > 0
    assert ceilings.limit((1, 2, 3, 4), 3, found) == 2 * 6 * 2 * 3 * 4 * 9 / found.compute


def test_shares_are_rates_over_ceilings() -> None:
    fractions = ceilings.fractions(
        ceilings.Work(10.0, 20.0, 40.0),
        2.0,
        ceilings.Ceilings(memory=10.0, second_level=0.0, cache=100.0, compute=50.0),
    )
    assert fractions == {"compute": 0.1, "memory": 1.0, "cache": 0.2}


@pytest.mark.slow
def test_run_writes_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(formulations, "SHAPES", {"small": (4, 16, 6, 6)})
    readme = tmp_path / "README.md"
    begin, end = report.MARKS
    readme.write_text(f"before\n{begin}\nold figures\n{end}\nafter\n")
    options = ["--quick", "--no-compile", "--no-models", "--out", str(tmp_path), "--readme", str(readme)]
    assert main(["bench", *options]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    (row,) = results["operator"]
    assert row["shape"] == [4, 16, 6, 6]
    assert {"ours", "grid_sample", "grid_sample, contiguous", "dense"} <= set(row["seconds"])
    assert all(0 < kinds["forward"] < kinds["both"] * 5 for kinds in row["seconds"].values())
    table = (tmp_path / "results.md").read_text()
    assert table == report.markdown(results)
    assert "| small 4x16x6x6 |" in table
    assert readme.read_text() == f"before\n{begin}\n{report.summary(results)}{end}\nafter\n"
    assert capsys.readouterr().out.strip() == table.strip()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this is about machines without a GPU")
def test_gpu_check_needs_a_gpu(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["gpu_check"])
    assert gpu_check.main() == 2
    assert "needs a CUDA device" in capsys.readouterr().err
