"""The questions of the page over a real connection: every one, and what is said of those that are impossible."""

from __future__ import annotations

import base64
import inspect
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from app.charts import DATASETS
from app.questions import Questions, clip_facts
from app.service import Service
from sifa_core import Analysis
from sifa_core.explain.render.payload import evidence_map, light_payload
from sifa_core.models import VideoModel
from sifa_core.paths import EXAMPLE_CLIPS
from tests.serving import served

PLACE = {"frame": 1, "x": 20.0, "y": 30.0, "layer": "res4.1", "levels": 2}


@pytest.fixture(scope="module")
def shown(model: VideoModel) -> Service:
    return Service(model)


@pytest.fixture(scope="module")
def token(shown: Service, analysis: Analysis) -> str:
    """The name of an opened clip."""
    return shown.analyze(analysis.clip)


@pytest.fixture(scope="module")
def client(shown: Service) -> Iterator[Client]:
    with served(shown) as page:
        yield Client(page.address, verbose=False)


def test_each_is_an_endpoint_and_says_what_it_does(client: Client) -> None:
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    methods = {name: each for name, each in inspect.getmembers(Questions, inspect.isfunction) if name[0] != "_"}
    assert {f"/{name}" for name in (*methods, "predict", "explain", "timeline")} == set(named)
    for name, method in methods.items():
        assert method.__doc__
        parameters = [each["parameter_name"] for each in named[f"/{name}"]["parameters"]]
        assert parameters == list(inspect.signature(method).parameters)[1:]


def test_an_example_is_opened_and_said_to_be_what_it_is(client: Client, shown: Service) -> None:
    job = client.submit("earth_rotates", api_name="/open_example")
    opened = job.result()
    *steps, last = job.outputs()
    assert [each["step"] for each in steps] == ["Reading the clip and running the model"]
    assert opened == last
    assert (opened["example"], opened["model"], opened["clip"]["name"]) == (
        "earth_rotates",
        "main",
        "earth_rotates.mp4",
    )
    assert opened["clip"]["facts"][0].endswith(" pixels")
    assert opened["analysis"] == light_payload(shown.payload(opened["token"]))
    again = client.submit("earth_rotates", api_name="/open_example")
    assert again.result()["token"] == opened["token"]
    assert len(again.outputs()) == 1, "it is there already"


def test_a_clip_of_ones_own_is_opened(client: Client, shown: Service, tmp_path: Path) -> None:
    job = client.submit(handle_file(EXAMPLE_CLIPS / "earth_rotates.mp4"), api_name="/open_clip")
    opened = job.result()
    assert [each.get("step") for each in job.outputs()] == ["Reading the clip", "Running the model", None]
    assert (opened["example"], opened["clip"]["remark"]) == ("", "")
    assert shown.analysis(opened["token"]).clip.source.name == "earth_rotates.mp4"
    words = tmp_path / "words.mp4"
    words.write_text("These are words.")
    with pytest.raises(AppError, match=r"words.mp4 is not a video"):
        client.predict(handle_file(words), api_name="/open_clip")


def test_what_is_said_of_a_clip(analysis: Analysis) -> None:
    clip = analysis.clip
    warned = replace(clip, source=replace(clip.source, warnings=("The last frame is repeated.",)))
    assert clip_facts(warned)["facts"][-1] == "The last frame is repeated."
    assert clip_facts(clip)["name"] == "noise.mp4"


def test_a_layer_and_a_picture_are_those_of_the_payload(client: Client, shown: Service, token: str) -> None:
    (layer,) = (each for each in shown.payload(token)["layers"] if each["name"] == "res4.1")
    told = client.predict(token=token, model="main", layer="res4.1", api_name="/layer")
    assert told == {name: layer[name] for name in ("offset", "weights", "saliency")}
    regular = client.predict(token=token, model="regular", layer="res4.1", api_name="/layer")
    assert regular["offset"] != layer["offset"], "the same clip without offsets"
    asked = {"target": 2, "against": 5, "method": "layer_cam", "stage": "res3"}
    told = client.predict(token=token, **asked, api_name="/evidence")
    assert told == evidence_map(shown.analysis(token), "res3", 2, "layer_cam", 5)


def test_charts_are_of_the_query(client: Client, analysis: Analysis, token: str) -> None:
    figures = client.predict(token=token, **PLACE, api_name="/charts")
    assert list(figures) == ["matrix", "ranking", "offsets", "directions", "motion", "predictions"]
    heights = _values(figures["ranking"]["data"][0]["y"])
    points = analysis.sampling_points((1, 20, 30), "res4.1", 2)
    np.testing.assert_allclose(heights, np.sort(points.weights)[::-1], rtol=1e-6)
    drawn = client.predict(token=token, layer="res4.1", frame=2, api_name="/distributions")
    fractions, _ = analysis.offset_histogram("res4.1", 2)
    np.testing.assert_allclose(_values(drawn["lengths"]["data"][0]["y"]), fractions)
    assert set(drawn) == {"lengths", "directions"}
    cost = client.predict(dataset="kinetics600", api_name="/costs")
    assert DATASETS["kinetics600"] in cost["layout"]["title"]["text"]


def test_offsets_and_controls(client: Client, analysis: Analysis, token: str) -> None:
    told = client.predict(token=token, api_name="/offsets")
    (lengths,) = (each for each in told["matrix"]["measures"] if each["id"] == "mean_magnitude")
    expected = [analysis.offset_statistics(layer).mean_magnitude for layer in analysis.layers]
    np.testing.assert_allclose(np.array(lengths["values"], float), expected, rtol=1e-5)
    assert told["findings"]
    assert {each["kind"] for each in told["findings"]} <= {"fine", "fault", "note"}
    cards = client.predict(token=token, api_name="/controls")
    assert [card["title"] for card in cards["cards"]] == ["Original", "Frozen", "Reversed", "Shuffled", "Held"]
    assert cards["trained"] is True


def test_a_lesson_and_what_changes_without_a_part(client: Client, token: str) -> None:
    lesson = client.predict(token=token, **PLACE, api_name="/lesson")
    assert lesson["choice"] == {"t": 1, "x": 20, "y": 30, "layer": "res4.1", "levels": 2}
    without = client.predict(token=token, part="offsets", here=True, **PLACE, api_name="/ablate")
    assert without["moved"] > 0
    assert len(without["before"]["points"]) == len(without["after"]["points"]) == 81


def test_two_models_and_no_payload_twice(client: Client, token: str) -> None:
    told = client.predict(token=token, api_name="/compare")
    assert told["sides"] == ["main", "regular"] == list(told["payloads"])
    again = client.predict(token=token, one="regular", other="main", known=["main", "regular"], api_name="/compare")
    assert (again["sides"], again["payloads"]) == (["regular", "main"], {})
    assert [row["difference"] for row in again["rows"]] == [-row["difference"] for row in told["rows"]]


def test_a_file_is_of_what_is_asked_for(client: Client, token: str) -> None:
    file = client.predict(token=token, kind="json", **PLACE, api_name="/export")
    assert (file["name"], file["type"]) == ("sifa_noise.json", "application/json")
    assert b'"levels": 2' in base64.b64decode(file["data"])


def test_progress_comes_before_the_verdict(client: Client, token: str) -> None:
    job = client.submit(token=token, target=3, api_name="/faithfulness")
    verdict = job.result()
    *told, last = job.outputs()
    assert told
    assert [each["done"] for each in told] == sorted(each["done"] for each in told)
    assert last == verdict
    assert verdict["headline"]
    assert set(verdict["charts"]) == {"deletion", "insertion"}


@pytest.mark.parametrize(
    ("name", "given", "sentence"),
    [
        ("layer", {"model": "main", "layer": "res9.9"}, "res9.9"),
        ("layer", {"model": "other", "layer": "res4.1"}, "no such model"),
        ("layer", {"model": 3, "layer": "res4.1"}, "model=3 is not possible; it is a text"),
        ("evidence", {"target": 99}, "no class 99"),
        ("evidence", {"method": [1]}, r"method=\[1\] is not possible"),
        ("charts", PLACE | {"x": 5000}, "outside"),
        ("charts", PLACE | {"levels": 2.5}, "a whole number"),
        ("distributions", {"layer": "res4.1", "frame": 99}, "99"),
        ("lesson", PLACE | {"layer": "x"}, "There is no SIFA layer 'x'"),
        ("ablate", PLACE | {"part": "engine", "here": True}, "engine"),
        ("ablate", PLACE | {"part": "offsets", "here": "yes"}, "here='yes' is not possible; it is true or false"),
        ("compare", {"one": "nobody"}, "no such model"),
        ("compare", {"known": "main"}, "known='main' is not possible; it is a list of texts or null"),
        ("export", {"kind": "exe"}, "no file of the kind 'exe'"),
        ("export", {"kind": "png", "frame": 99, "x": 1, "y": 1}, "There is no feature frame 99"),
    ],
)
def test_what_is_impossible_is_told_in_one_sentence(
    client: Client, token: str, name: str, given: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(AppError, match=sentence):
        client.predict(token=token, **given, api_name=f"/{name}")


def test_nobody_finds_the_clip_of_another(client: Client) -> None:
    with pytest.raises(AppError, match="open it again"):
        client.predict(token="a guess", api_name="/offsets")
    with pytest.raises(AppError, match="There is no data set 'x'"):
        client.predict(dataset="x", api_name="/costs")


def _values(numbers: Any) -> np.ndarray:
    """Plotly writes numbers as lists, or as the bytes of an array."""
    if isinstance(numbers, dict):
        return np.frombuffer(base64.b64decode(numbers["bdata"]), numbers["dtype"])
    return np.array(numbers)
