"""Verdicts on pictures whose truth is known: a network that decides at one place, and one that has learned nothing."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from sifa_core.errors import QueryError
from sifa_core.explain.explanation import Explanation, analyze
from sifa_core.explain.studies.faithfulness import FRACTIONS, NAMED, ORDERS, faithfulness, randomised_models
from sifa_core.inference import prepare
from tests.explain.white_box import LABELS, WhiteBox, clip_that_moves, places


def known(seed: int) -> tuple[Explanation, tuple[int, int]]:
    """A clip in which eight places move, and the one of them that decides."""
    rng = np.random.default_rng(seed)
    here, there, *beside = places(rng, 9)
    return analyze(WhiteBox(here, there).eval(), clip_that_moves(rng, here, *beside)), here


@pytest.fixture(scope="module")
def decided():
    analysis, here = known(0)
    return analysis, here, analysis.faithfulness()


def test_the_place_that_decides_is_ranked_first_and_believed_in_50_of_50_clips():
    right = believed = 0
    for seed in range(50):
        analysis, (row, column) = known(seed)
        cells = analysis.evidence_cells()
        outside = cells.copy()
        outside[:, row : row + 2, column : column + 2] = 0
        right += outside.max() < 0.5 * cells.max() and cells.sum() > 2 * outside.sum()
        believed += faithfulness(analysis, seed=seed).faithful
    assert (right, believed) == (50, 50)


def test_curves_begin_and_end_at_the_clip_and_at_the_frozen_clip(decided):
    analysis, _, found = decided
    moving = analysis.predictions[0][1]
    held = dict(analysis.on(analysis.clip.frozen()).predictions)[LABELS[0]]
    assert found.fractions.tolist() == list(FRACTIONS)
    for order in ORDERS:
        assert found.deletion[order][[0, -1]] == pytest.approx([moving, held], abs=1e-6)
        assert found.insertion[order][[0, -1]] == pytest.approx([held, moving], abs=1e-6)
    assert found.deletion["evidence"][NAMED] < 0.1 < found.deletion["random"][NAMED]
    assert found.drop() == pytest.approx(moving - found.deletion["evidence"][NAMED])
    assert found.drop() > 2 * found.drop("random")


def test_what_is_held_is_shown_as_in_the_middle_picture(decided):
    analysis, (row, column), found = decided
    held = analysis.clip.frames.copy()
    y, x = 4 * row, 4 * column
    held[:, y : y + 8, x : x + 8] = held[4, y : y + 8, x : x + 8]
    probability = dict(analysis.on(dataclasses.replace(analysis.clip, frames=held)).predictions)[LABELS[0]]
    # The place is 16 of 256 cells, and the smoothed picture ranks it among the first 26.
    assert found.deletion["evidence"][NAMED] == pytest.approx(probability, abs=0.02)


def test_random_weights_and_another_class_change_the_picture(decided):
    _, _, found = decided
    assert list(found.randomised) == ["head", "stem"]
    assert max(found.randomised.values()) < 0.7
    label, correlation = found.other_class
    assert label in LABELS[1:]
    assert correlation < 0.5
    assert found.verdict[0].startswith("This picture can be believed")
    assert "is another" in found.verdict[-1]


def test_a_network_taught_shuffled_labels_is_not_believed():
    rng = np.random.default_rng(1)
    here, there, *beside = places(rng, 9)
    model = WhiteBox(here, there).eval()
    clips = [clip_that_moves(rng, *beside, *([here], [there], [])[number % 3]) for number in range(300)]
    with torch.no_grad():
        pooled = torch.cat([model.pooled(prepare(model, clip)) for clip in clips])
    torch.manual_seed(0)
    labels = torch.arange(len(clips))[torch.randperm(len(clips))] % 3
    torch.nn.init.zeros_(model.head.weight)
    optimizer = torch.optim.SGD(model.head.parameters(), lr=0.01, weight_decay=1e-2)
    for _ in range(200):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model.head(pooled), labels).backward()
        optimizer.step()
    for clip in clips[:12]:
        found = analyze(model, clip).faithfulness()
        assert not found.faithful
        assert "can be believed" not in found.verdict[0]


def test_a_picture_of_the_wrong_places_is_not_believed(decided, monkeypatch):
    analysis, (row, column), _ = decided
    wrong = np.ones((4, 8, 8), np.float32)
    wrong[:, row : row + 2, column : column + 2] = 0
    monkeypatch.setattr(analysis, "evidence_cells", lambda *_: wrong)
    found = faithfulness(analysis)
    assert not found.faithful
    assert found.verdict[0].startswith("Do not believe this picture")
    assert abs(found.drop()) < 0.01


def test_where_nothing_moves_or_nothing_was_learned_there_is_little_to_believe(decided):
    analysis, *_ = decided
    still = analyze(analysis.model, analysis.clip.frozen())
    found = still.faithfulness()
    assert not found.faithful
    assert "hardly rests on motion" in found.verdict[0]
    untrained = WhiteBox((0, 0), (4, 4)).eval()
    untrained.info = dataclasses.replace(untrained.info, status="untrained")
    assert "has not been trained" in analyze(untrained, analysis.clip).faithfulness().verdict[0]
    unlikely = analysis.faithfulness(target="moves there")
    assert "has decided nothing" in unlikely.verdict[0]


def test_one_class_against_another_is_about_these_two(decided):
    analysis, *_ = decided
    found = analysis.faithfulness(against=2)
    assert (found.target, found.against) == (0, 2)
    here, nothing = analysis.logits[0], analysis.logits[2]
    assert found.deletion["random"][0] == pytest.approx(float((here - nothing).sigmoid()), abs=1e-6)
    assert found.other_class[0] == "moves there"
    assert '"moves here" rather than "nothing moves"' in found.verdict[0]
    two = WhiteBox((0, 0), (4, 4)).eval()
    two.head = torch.nn.Linear(two.head.in_features, 2)
    two.info = dataclasses.replace(two.info, labels=LABELS[:2])
    alone = analyze(two, analysis.clip).faithfulness(target=0, against=1)
    assert alone.other_class is None, "there is no third class to ask for"
    assert not any("The picture for" in sentence for sentence in alone.verdict)


def test_occlusion_is_not_asked_of_random_weights(decided):
    analysis, _, reference = decided
    found = analysis.faithfulness(method="occlusion")
    assert found.randomised == {}
    assert found.other_class is None
    assert found.faithful
    assert found.drop() == pytest.approx(reference.drop(), abs=0.05)


def test_as_plain_values_with_progress(decided):
    analysis, _, found = decided
    steps = []
    again = analysis.faithfulness(progress=lambda done, step: steps.append((done, step)))
    plain = json.loads(json.dumps(again.to_dict()))
    assert plain == json.loads(json.dumps(found.to_dict())), "the same seed gives the same answer"
    assert plain["layer"] == "res3"
    assert plain["other_class"].keys() == {"label", "correlation"}
    fractions = [done for done, _ in steps]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    with pytest.raises(QueryError, match="no class 'jump'"):
        analysis.faithfulness(target="jump")


def test_weights_are_drawn_from_the_head_down_and_the_model_stays_as_it_is(model):
    before = {name: value.clone() for name, value in model.named_parameters()}
    changed = {}
    for depth, other in randomised_models(model, seed=1):
        weights = dict(other.named_parameters())
        changed[depth] = {name for name, value in weights.items() if not torch.equal(value, before[name])}
    assert list(changed) == ["head", "res4", "stem"]
    assert changed["head"] == {"fc.weight"}, "a bias of zeros has no spread"
    assert {name.split(".")[0] for name in changed["res4"]} == {"fc", "layer4", "layer3"}
    assert "conv1.weight" in changed["stem"]
    for name in ("conv1.weight", "layer3.0.conv2.weight"):
        spread = (weights[name].detach().std() / before[name].std()).item()
        assert spread == pytest.approx(1, abs=0.05)
        both = torch.stack([weights[name].detach().flatten(), before[name].flatten()])
        assert abs(torch.corrcoef(both)[0, 1].item()) < 0.1
    assert all(torch.equal(value, before[name]) for name, value in model.named_parameters())
