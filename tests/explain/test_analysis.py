"""One forward, and what is read from it, against the network's own tensors."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sifa_core.data import Clip
from sifa_core.errors import ModelError, NotFiniteError, QueryError
from sifa_core.explain.analysis import CLEAR_CELLS
from sifa_core.explain.explanation import analyze
from sifa_core.explain.maps import enlarge, normalise
from sifa_core.explain.trace import Trace
from sifa_core.inference import predict, predict_video, prepare, video_clips
from sifa_core.models import create_model
from sifa_core.paths import EXAMPLE_CLIPS


def hook_counts(model):
    return [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()]


def test_the_analysis_is_the_forward(model, clip, analysis):
    video = prepare(model, clip)
    assert video.shape == (1, 3, 16, 128, 160)  # short side 112 and its partner, rounded to the stride of 32
    with torch.no_grad():
        torch.testing.assert_close(analysis.logits, model(video)[0])
    assert analysis.layers == ["res3.0", "res4.0", "res4.1", "res5.0", "res5.1"]
    assert analysis.frame_index == [2, 6, 10, 14]
    assert np.array_equal(analysis.frame(1), clip.frames[6])


def test_answers_that_are_no_numbers_are_refused(clip):
    broken = create_model("sifa_net_tiny", width=4)
    torch.nn.init.constant_(broken.fc.bias, float("nan"))
    for answers in (lambda: analyze(broken, clip).predictions, lambda: predict(broken, clip)):
        with pytest.raises(
            NotFiniteError, match=rf"^sifa_net_tiny gives values that are not finite for {clip.source.name}"
        ):
            answers()


def test_the_trace_holds_what_the_forward_used(model, clip):
    """Each layer's output, rebuilt from the traced offsets and weights alone, is the layer's output."""
    seen = {}
    handles = [
        layer.register_forward_hook(lambda module, inputs, output, name=name: seen.update({name: (inputs[0], output)}))
        for name, layer in model.sifa_layers().items()
    ]
    with torch.no_grad(), Trace(model) as trace:
        model(prepare(model, clip))
    for handle in handles:
        handle.remove()
    for name, (x, output) in seen.items():
        layer = trace.layers[name]
        following = torch.cat([x[1:], x[-1:]])
        rebuilt = x + gather(following, torch.tensor(layer.offset), torch.tensor(layer.weights))
        torch.testing.assert_close(output, rebuilt, rtol=1e-4, atol=1e-5)
        saliency = (following * torch.sigmoid(following - x)).abs().mean(1)
        np.testing.assert_allclose(layer.saliency, saliency.numpy(), rtol=1e-5)


def gather(memory, offset, weights):
    """Sum over taps of weight times the bilinear sample, by grid_sample; offset [T, K, 2, h, w] in (x, y) cells."""
    height, width = memory.shape[2:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    total = torch.zeros_like(memory)
    for tap in range(9):
        x = columns + tap % 3 - 1 + offset[:, tap, 0]
        y = rows + tap // 3 - 1 + offset[:, tap, 1]
        grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
        total += weights[:, tap, None] * F.grid_sample(memory, grid, align_corners=False)
    return total


def test_hooks_are_gone_afterwards_also_after_an_error(model):
    before = hook_counts(model)
    with pytest.raises(ModelError), Trace(model):
        model(torch.zeros(1, 1, 4, 32, 32))
    assert hook_counts(model) == before


def test_grad_cam_against_gradients_by_hand(model, clip, analysis):
    captured = {}
    handle = model.stage_outputs()["res4"].register_forward_hook(lambda m, i, output: captured.update(map=output))
    logits = model(prepare(model, clip))
    handle.remove()
    (gradient,) = torch.autograd.grad(logits[0, 7], captured["map"])
    evidence = (gradient.mean((2, 3), keepdim=True) * captured["map"]).sum(1).relu().detach()
    expected = (evidence / evidence.max()).numpy()
    np.testing.assert_allclose(analysis.grad_cam_cells("res4.1", 7), expected, rtol=1e-4, atol=1e-5)
    maps = analysis.grad_cam("res4.0", 7)
    assert maps.shape == (4, clip.height, clip.width)
    np.testing.assert_allclose(maps[2], enlarge(expected[2], clip.height, clip.width), rtol=1e-4, atol=1e-6)


def test_grad_cam_defaults_to_the_predicted_class(analysis):
    top = analysis.predictions[0][0]
    assert np.array_equal(analysis.grad_cam_cells(), analysis.grad_cam_cells(target=top))
    assert analysis.target_index(top) == int(analysis.logits.argmax())


def test_grad_cam_leaves_no_gradients_behind(model, analysis):
    analysis.grad_cam_cells("res3.0", 3)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("target", [15, -1, "no such class", True, 1.0])
def test_unknown_classes_are_said(analysis, target):
    with pytest.raises(QueryError, match="There is no class"):
        analysis.grad_cam(target=target)


def test_predictions_are_sorted_probabilities(model, clip, analysis):
    labels, probabilities = zip(*analysis.predictions, strict=True)
    assert list(probabilities) == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1)
    assert set(labels) == set(model.info.labels)
    assert predict(model, clip)[0][0] == labels[0]


def test_motion_saliency_scopes(analysis):
    raw = analysis.traces["res4.0"].saliency
    by_frame = analysis.motion_saliency("res4.0", 1)
    assert by_frame.shape == (analysis.clip.height, analysis.clip.width)
    by_clip = normalise(raw, "clip")
    np.testing.assert_allclose(by_clip, (raw - raw.min()) / (raw.max() - raw.min()), rtol=1e-5)
    np.testing.assert_allclose(normalise(raw, "frame").max((1, 2)), 1)
    expected = enlarge((raw[1] - raw[1].min()) / (raw[1].max() - raw[1].min()), 90, 130)
    np.testing.assert_allclose(by_frame, expected, rtol=1e-4, atol=1e-6)
    with pytest.raises(QueryError, match="scope='video'"):
        analysis.motion_saliency("res4.0", 1, scope="video")


def test_a_constant_map_becomes_zeros():
    assert not normalise(np.full((2, 3, 3), 7, np.float32), "frame").any()


def test_enlarging_keeps_cell_centres():
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    large = enlarge(image, 27, 36)  # stride 9: cell (i, j) is centred on pixel (9j + 4, 9i + 4)
    np.testing.assert_allclose(large[4::9, 4::9], image, atol=1e-5)


def test_default_query_lies_on_what_moves(analysis):
    """The square's right edge, say: within a cell of the square as it is in the middle frame."""
    for layer in ("res3.0", "res4.1"):
        t, x, y = analysis.default_query(layer)
        assert t == 1
        left, cell = 5 + 6 * analysis.frame_index[1], analysis.grid(layer).stride[0]
        assert left - cell <= x <= left + 25 + cell
        assert 30 - cell <= y <= 55 + cell
    assert analysis.default_query() == analysis.default_query("res3.0")


def test_default_query_of_a_clip_without_motion_is_the_most_salient_cell(model, clip):
    still = analyze(model, clip.frozen())
    t, x, y = still.default_query("res3.0")
    column, row = still.grid("res3.0").to_cells(np.array([x, y])).round().astype(int)
    saliency = still.traces["res3.0"].saliency[t]
    assert saliency[row, column] == saliency.max()
    alone = analyze(model, Clip.from_array(clip.frames[:4], fps=25))  # one feature frame, so nothing to compare
    assert alone.default_query("res3.0")[0] == 0


def test_selection_fills_in_and_checks(analysis):
    selection = analysis.select()
    assert (selection.layer, selection.levels) == ("res3.0", 1), "res4 has 10 x 8 cells only"
    assert selection.query == analysis.default_query("res3.0")
    assert (selection.method, selection.stage, selection.against) == ("integrated_gradients", "res2", None)
    assert (analysis.select(layer="res5.0").levels, analysis.select(layer="res4.1").levels) == (1, 2)
    paper = analysis.select(target=3, paper=True)
    assert (paper.method, paper.stage, paper.target) == ("grad_cam", "res5", 3)
    assert analysis.select(paper=True, method="layer_cam").method == "layer_cam"
    with pytest.raises(QueryError, match="against itself"):
        analysis.select(target=3, against=3)
    with pytest.raises(QueryError, match="first SIFA layer"):
        analysis.select(layer="res5.0", levels=2)


def test_the_clear_layer_is_the_last_that_is_fine_enough_to_see_its_points(analysis, monkeypatch):
    cells = {name: analysis.grid(name).rows * analysis.grid(name).columns for name in analysis.layers}
    assert cells["res3.0"] >= CLEAR_CELLS > cells["res4.0"]
    for least, layer in ((1, "res5.1"), (cells["res4.0"] + 1, "res3.0"), (10_000, "res3.0")):
        monkeypatch.setattr("sifa_core.explain.analysis.CLEAR_CELLS", least)
        assert analysis.clear_layer == analysis.check_layer(None) == layer


def test_a_model_that_skips_the_last_frame(clip):
    analysis = analyze(create_model("sifa_net_tiny", last_frame="skip"), clip)
    assert len(analysis.traces["res3.0"].offset) == 3
    assert analysis.sampling_points((2, 9, 9)).frame == 3
    with pytest.raises(QueryError, match="Frame 3 is the last one"):
        analysis.sampling_points((3, 9, 9))
    assert analysis.motion_saliency("res3.0", 3).shape == (90, 130)


def test_a_model_without_sifa_has_nothing_to_explain(clip):
    with pytest.raises(ModelError, match="nothing to explain"):
        analyze(create_model("sifa_net_tiny", temporal="none"), clip)


def test_short_clips_and_progress(model):
    frames = np.random.default_rng(0).integers(0, 255, (3, 40, 50, 3), dtype=np.uint8)
    steps = []
    analysis = analyze(model, Clip.from_array(frames), progress=steps.append)
    assert analysis.num_frames == 1
    assert analysis.frame_index == [2]
    assert analysis.sampling_points((0, 20, 20)).frame == 0
    assert steps == ["Preparing the frames", "Running the model"]


def test_controls_differ_as_they_should(model, clip):
    frozen = analyze(model, clip.frozen())
    for layer in frozen.traces.values():  # nothing moves, so every pair of frames looks the same
        assert np.ptp(layer.saliency, axis=0).max() < 1e-4
    assert not np.allclose(analyze(model, clip.reversed()).logits, analyze(model, clip).logits)


def test_a_video_is_predicted_by_the_mean_over_clips_spread_over_it():
    model = create_model("sifa_net_tiny")
    path = EXAMPLE_CLIPS / "cockatoo_moves_right.mp4"
    clips = video_clips(model, path, views=3)
    assert [clip.indices[0] for clip in clips] == [0, 26, 52]
    assert all((np.diff(clip.indices) == clips[0].source.stride).all() for clip in clips)
    assert min(clips[0].frames.shape[1:3]) == 2 * model.info.input_size
    single = [dict(predict(model, clip)) for clip in clips]
    for label, probability in predict_video(model, path, views=3):
        assert probability == pytest.approx(np.mean([each[label] for each in single]), abs=1e-6)
    probabilities = [probability for _, probability in predict_video(model, path)]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1)
