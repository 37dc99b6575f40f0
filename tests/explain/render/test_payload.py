"""The viewer's payload: what it holds, how exact it is, how large it gets."""

import base64
import dataclasses
import json

import cv2
import numpy as np
import pytest

from sifa_core.data import Clip
from sifa_core.errors import QueryError
from sifa_core.explain.class_evidence import GRADIENT_METHODS
from sifa_core.explain.explanation import Explanation, analyze
from sifa_core.explain.maps import salient_box
from sifa_core.explain.render.payload import (
    ARRAYS,
    FORMAT,
    encode_float16,
    encode_jpeg,
    layer_arrays,
    light_payload,
    viewer_payload,
)
from sifa_core.models import VideoModel, create_model, load_model
from tests.payloads import payload_of


def floats(text: str, *shape: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f2").reshape(shape)


def picture(text: str) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]


@pytest.fixture(scope="module")
def payload(analysis: Explanation) -> dict:
    return payload_of(analysis)


def test_is_strict_json_and_says_its_format(payload: dict) -> None:
    assert json.loads(json.dumps(payload, allow_nan=False)) == payload
    assert payload["format"] == FORMAT


def test_arrays_are_the_trace_to_float16(payload: dict, analysis: Explanation) -> None:
    assert [layer["name"] for layer in payload["layers"]] == analysis.layers
    for layer in payload["layers"]:
        trace = analysis.traces[layer["name"]]
        attended, taps = trace.weights.shape[:2]
        cells = layer["rows"], layer["columns"]
        assert (layer["attended"], layer["kernel_size"] ** 2) == (attended, taps)
        for name, shape in (("offset", (attended, taps, 2)), ("weights", (attended, taps)), ("saliency", (attended,))):
            sent = floats(layer[name], *shape, *cells)
            np.testing.assert_array_equal(sent, getattr(trace, name).astype(np.float16))
        assert layer["max_levels"] == analysis.max_levels(layer["name"])
        magnitude = analysis.offset_statistics(layer["name"]).mean_magnitude
        np.testing.assert_allclose(layer["statistics"]["mean_magnitude"], magnitude, atol=1e-5)


def test_class_evidence_of_what_is_asked_for_and_the_papers(analysis: Explanation) -> None:
    asked, paper = payload_of(analysis, target=4, against=2, method="layer_cam", evidence_layer="res3.0")["evidence"]
    assert asked["target"] == {"index": 4, "label": analysis.info.labels[4]}
    assert asked["against"] == {"index": 2, "label": analysis.info.labels[2]}
    assert (asked["method"], asked["stage"]) == ("layer_cam", "res3")
    assert (paper["method"], paper["stage"], paper["target"]) == ("grad_cam", "res5", asked["target"])
    for sent, expected in (
        (asked, analysis.evidence_cells("res3", 4, "layer_cam", 2)),
        (paper, analysis.evidence_cells("res5", 4, "grad_cam", 2)),
    ):
        cells = floats(sent["cells"], analysis.num_frames, sent["rows"], sent["columns"])
        np.testing.assert_array_equal(cells, expected.astype(np.float16))


def test_paper_alone_is_sent_once_and_says_so(analysis: Explanation) -> None:
    sent = payload_of(analysis, paper=True)
    assert [each["method"] for each in sent["evidence"]] == ["grad_cam"]
    assert sent["start"]["paper"] is True


def test_a_file_holds_every_quick_method(analysis: Explanation) -> None:
    sent = viewer_payload(analysis, analysis.select(), all_methods=True)
    assert sorted(each["method"] for each in sent["evidence"]) == sorted(GRADIENT_METHODS)
    stages = {method["name"]: method["stage"] for method in sent["methods"]}
    assert all(each["stage"] == stages[each["method"]] for each in sent["evidence"])


def test_motion_with_the_box_around_what_moves(payload: dict, analysis: Explanation) -> None:
    sent = payload["motion"]
    assert sent["pairs"] == analysis.num_frames - 1
    cells = floats(sent["cells"], sent["pairs"], sent["rows"], sent["columns"])
    np.testing.assert_array_equal(cells, analysis.motion_cells().astype(np.float16))
    height, width = analysis.clip.height, analysis.clip.width
    assert sent["boxes"] == [
        pytest.approx(salient_box(image, height, width), abs=0.01) for image in analysis.motion_cells()
    ]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, ""),
        ({"msm_residual": True}, "plus the next frame itself"),
        ({"offset_from": "difference"}, "from the difference of the two frames"),
        ({"offset_from": "next"}, "from the next frame alone"),
        ({"offset_from": "conv3d"}, "over the whole clip"),
        ({"temporal": "sifa_r"}, "built without offsets"),
    ],
)
def test_what_offsets_are_computed_from_is_read_from_the_trace(analysis: Explanation, fields: dict, words: str) -> None:
    other = analyze(create_model("sifa_net_tiny", **fields), analysis.clip)
    sentences = {layer["offset_source"] for layer in payload_of(other)["layers"]}
    assert len(sentences) == 1
    [sentence] = sentences
    assert words in sentence
    assert (sentence == "") is (words == "")


def test_pictures_are_the_feature_frames(payload: dict, analysis: Explanation) -> None:
    assert [frame["index"] for frame in payload["frames"]] == analysis.frame_index
    for t, frame in enumerate(payload["frames"]):
        shown = picture(frame["picture"])
        assert shown.shape == analysis.frame(t).shape
        inside = np.s_[35:50, 10 + 6 * analysis.frame_index[t] : 25 + 6 * analysis.frame_index[t]]
        assert np.abs(shown[inside].astype(int) - (250, 240, 90)).mean() < 8
        assert frame["time"] == analysis.clip.timestamps[frame["index"]]


def test_every_frame_of_the_clip_has_a_thumbnail_under_its_feature_frame(payload: dict) -> None:
    assert [(thumbnail["t"], thumbnail["index"]) for thumbnail in payload["thumbnails"]] == [
        (index // 4, index) for index in range(16)
    ]
    assert min(picture(payload["thumbnails"][0]["picture"]).shape[:2]) == 72


def test_an_untrained_model_has_no_predictions_and_a_trained_one_has_five(
    analysis: Explanation, model: VideoModel
) -> None:
    assert payload_of(analysis)["predictions"] is None
    untrained = model.info
    try:
        model.info = dataclasses.replace(untrained, status="own")
        sent = payload_of(analyze(model, analysis.clip))["predictions"]
    finally:
        model.info = untrained
    assert [row["label"] for row in sent] == [label for label, _ in analysis.predictions[:5]]
    np.testing.assert_allclose(
        [row["probability"] for row in sent], [p for _, p in analysis.predictions[:5]], atol=1e-6
    )


def test_what_is_shown_first(analysis: Explanation) -> None:
    start = payload_of(analysis, query=(2, 10, 20.5), layer="res4.0")["start"]
    assert start == {"layer": "res4.0", "levels": 1, "query": [2, 10.0, 20.5], "paper": False}
    assert payload_of(analysis)["start"]["levels"] == 1, "the layer shown first has none before it in its stage"
    assert payload_of(analysis, layer="res4.1")["start"]["levels"] == 2
    with pytest.raises(QueryError, match="res9"):
        payload_of(analysis, layer="res9")
    with pytest.raises(QueryError):
        payload_of(analysis, layer="res4.0", levels=2)


def test_a_large_clip_stays_below_three_megabytes() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (16, 90, 160, 3), dtype=np.uint8)
    large = np.stack([cv2.resize(frame, (1280, 720), interpolation=cv2.INTER_CUBIC) for frame in frames])
    payload = payload_of(analyze(load_model("sifa_net_tiny"), Clip.from_array(large)))
    assert picture(payload["frames"][0]["picture"]).shape == (480, 853, 3)
    assert len(json.dumps(payload)) < 3e6


def test_numbers_that_float16_cannot_hold() -> None:
    sent = floats(encode_float16([np.nan, np.inf, -np.inf, 1e9, 0.1]), 5)
    np.testing.assert_array_equal(sent, np.array([0, 65504, -65504, 65504, 0.1], np.float16))


def test_small_pictures_are_not_enlarged() -> None:
    assert picture(encode_jpeg(np.zeros((30, 50, 3), np.uint8), 72, 80)).shape == (30, 50, 3)


def test_a_large_payload_holds_back_the_layers_that_are_not_shown_first(analysis: Explanation, payload: dict) -> None:
    assert light_payload(payload) is payload, "a small one goes in one piece"
    for shown, there in (
        (analysis.layers[0], {0}),
        (analysis.layers[-1], {len(analysis.layers) - 2, len(analysis.layers) - 1}),
    ):
        full = payload_of(analysis, layer=shown)
        light = light_payload(full, largest=1000)
        for place, (before, after) in enumerate(zip(full["layers"], light["layers"], strict=True)):
            held_back = {} if place in there else dict.fromkeys(ARRAYS)
            assert after == before | held_back
            assert layer_arrays(full, before["name"]) == {name: before[name] for name in ARRAYS}
        assert {key: value for key, value in light.items() if key != "layers"} == {
            key: value for key, value in full.items() if key != "layers"
        }
        assert len(json.dumps(light)) < len(json.dumps(full))
    with pytest.raises(QueryError, match="'res9'"):
        layer_arrays(payload, "res9")


def test_what_is_said_of_the_whole_video_goes_along(
    analysis: Explanation, payload: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [(f"class {i}", (10 - i) / 55) for i in range(10)]
    assert payload["video"] is None
    assert payload_of(analysis, video=rows)["video"] is None, "an untrained model says nothing"
    monkeypatch.setattr(analysis, "info", dataclasses.replace(analysis.info, status="own"))
    video = payload_of(analysis, video=rows)["video"]
    assert [(row["label"], row["probability"]) for row in video] == rows[:5]
