"""The folder of a run: which configuration may go on in it."""

import pytest

from sifa_core.errors import ConfigError
from sifa_core.training.config import TrainConfig, from_dict
from sifa_core.training.state import check_config, claim_folder

BASE = {
    "model": {"fields": {"layers": [1, 1, 1, 1]}},
    "data": {"shapes": [[64, 64]], "workers": 0},
    "optimizer": {"lr": 1e-5},
    "run": {"steps": 6, "batch": 4},
}


def settings(**changes: dict) -> TrainConfig:
    return from_dict(TrainConfig, BASE | {part: BASE[part] | values for part, values in changes.items()})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"run": {"steps": 9, "log_every": 1, "eval_every": 2, "save_every": 3, "out": "moved"}},
        {"data": {"workers": 2}},
        {"model": {"fields": {"layers": (1, 1, 1, 1)}}},
    ],
)
def test_what_may_change_when_a_run_goes_on(tmp_path, changes):
    claim_folder(tmp_path, settings())
    check_config(tmp_path, settings(**changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"run": {"batch": 2}}, "run.batch is 4 there, 2 here"),
        ({"run": {"seed": 1}}, "run.seed is 0 there, 1 here"),
        ({"run": {"mixed_precision": "bf16"}}, "run.mixed_precision is 'no' there, 'bf16' here"),
        ({"data": {"seed": 1}}, "data.seed is 0 there, 1 here"),
        ({"model": {"fields": {}}}, r"model.fields.layers is \[1, 1, 1, 1\] there, None here"),
        ({"data": {"seed": 1, "crop": 64, "stride": 2}, "optimizer": {"lr": 1}}, "data.stride is .*; and 1 more"),
    ],
)
def test_what_makes_another_run(tmp_path, changes, said):
    claim_folder(tmp_path, settings())
    with pytest.raises(ConfigError, match=said):
        check_config(tmp_path, settings(**changes))


def test_states_that_are_not_gone_on_with_go(tmp_path):
    (tmp_path / "state-6").mkdir()
    claim_folder(tmp_path, settings())
    assert (tmp_path / "state-6").is_dir()
    claim_folder(tmp_path, settings(run={"resume": False}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml"]
