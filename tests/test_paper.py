"""The paper's tables: counts and column sums were taken from the paper's text by another route than the data."""

import pytest

from sifa_core.errors import UnknownNameError
from sifa_core.paper import DATASETS, ablations, results

ROWS = {"kinetics400": 30, "kinetics600": 15, "something_v1": 22, "something_v2": 24}


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_row_is_there_and_plausible(dataset):
    rows = results(dataset)
    assert len(rows) == ROWS[dataset]
    assert len({(row.label, row.backbone) for row in rows}) == len(rows)
    for row in rows:
        assert 40 < row.top1 < 90
        assert row.top5 is None or row.top1 < row.top5 < 100
        assert row.gflops_per_view is None or 10 < row.gflops_per_view < 4000


@pytest.mark.parametrize(
    ("dataset", "gflops", "top1", "top5"),
    [
        ("kinetics400", 10_374, 2327.6, 2608.0),
        ("kinetics600", 7_371, 1219.9, 1428.2),
        ("something_v1", 2_692, 1152.8, 1299.8),
        ("something_v2", 4_930, 1560.9, 1884.8),
    ],
)
def test_columns_add_up(dataset, gflops, top1, top5):
    rows = results(dataset)
    assert sum(row.gflops_per_view or 0 for row in rows) == gflops
    assert sum(row.top1 for row in rows) == pytest.approx(top1)
    assert sum(row.top5 or 0 for row in rows) == pytest.approx(top5)


def test_examples_of_each_table():
    tables = {dataset: {(row.label, row.backbone): row for row in results(dataset)} for dataset in DATASETS}
    row = tables["kinetics400"]["SIFA-Net (64)", "R101"]
    assert (row.gflops_per_view, row.views, row.top1, row.top5, row.table) == (157, 30, 81.3, 95.2, "2")
    assert row.total_gflops == 4710
    row = tables["kinetics600"]["SIFA-Transformer", "Swin-B"]
    assert (row.frames, row.gflops_per_view, row.views, row.top1, row.top5, row.table) == (64, 270, 12, 84.5, 96.9, "3")
    row = tables["something_v1"]["TDN", "R50"]
    assert (row.gflops_per_view, row.views, row.top1, row.top5, row.frames, row.table) == (72, 1, 53.9, 82.1, None, "4")
    row = tables["something_v2"]["MG-TEA", "R101"]
    assert (row.gflops_per_view, row.total_gflops, row.top1, row.top5) == (None, None, 64.8, None)
    assert tables["kinetics400"]["I3D", "Inception"].total_gflops is None  # 108 x N/A


def test_our_models_and_families():
    for dataset in DATASETS:
        ours = [row for row in results(dataset) if row.is_ours]
        assert [(row.backbone, row.frames) for row in ours] == [
            *[(backbone, frames) for backbone in ("R50", "R101") for frames in (16, 32, 64)],
            ("Swin-B", 64),
        ]
    families = {row.method: row.family for row in results("kinetics400")}
    assert [method for method, family in families.items() if family == "transformer"] == [
        "TimeSformer",
        "ViViT",
        "MViT",
        "Video-Swin",
        "SIFA-Transformer",
    ]


def test_ablations():
    assert [len(ablations(table)) for table in ("1a", "1b", "1c", "1d", "1e")] == [5, 5, 5, 5, 6]
    assert [row.gflops for row in ablations("1c")] == [24, 24, 25, 26, 29]
    by_name = {row.variant: row for row in ablations("1e")}
    assert (by_name["Temporal Difference"].gflops, by_name["Temporal Difference"].top1) == (36, 76.6)
    assert ablations("1a")[-1].gflops is None


def test_the_same_run_is_the_same_in_every_table():
    """The full block in res5 stands in 1a to 1d, the plain network in 1a, 1d and 1e, the whole one in 1d, 1e and 2."""
    in_res5 = [ablations("1a")[3], ablations("1b")[4], ablations("1c")[1], ablations("1d")[1]]
    plain = [ablations("1a")[0], ablations("1d")[0], ablations("1e")[0]]
    for rows in (in_res5, plain, [ablations("1d")[3], ablations("1e")[5]]):
        assert len({(row.gflops, row.top1, row.top5) for row in rows}) == 1
    whole = next(row for row in results("kinetics400") if row.is_ours)
    assert (whole.gflops_per_view, whole.top1, whole.top5) == (25, 77.4, 93.3)


def test_unknown_names_are_one_sentence():
    with pytest.raises(UnknownNameError, match="no results on 'ucf101'; choose one of kinetics400"):
        results("ucf101")
    with pytest.raises(UnknownNameError, match="no ablation table '1f'"):
        ablations("1f")
