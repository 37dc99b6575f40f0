"""The named API over a real connection, asked by gradio_client and by hand."""

from __future__ import annotations

import json
import re
import shutil
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from app.service import Service
from sifa_core import predict_video
from sifa_core.models import VideoModel
from sifa_core.paths import EXAMPLE_CLIPS
from tests.serving import Served, served
from tests.test_docs import NEEDS_A_SERVER, ROOT, blocks

CLIP = EXAMPLE_CLIPS / "earth_rotates.mp4"


@pytest.fixture(scope="module")
def page(model: VideoModel) -> Iterator[Served]:
    with served(Service(model)) as page:
        yield page


@pytest.fixture(scope="module")
def client(page: Served) -> Client:
    return Client(page.address, verbose=False)


def test_predict_of_an_example_gives_the_models_own_numbers(client: Client, page: Served) -> None:
    answer = client.predict(example="earth_rotates", api_name="/predict")
    service = page.service
    analysis = service.analysis(service.open_example("earth_rotates"))
    assert answer["clip"] == {"name": "earth_rotates.mp4", "sha256": analysis.clip.sha256}
    assert answer["model"] == {"name": "sifa_net_tiny", "status": "own", "sha256": analysis.info.sha256}
    video = predict_video(service.model, CLIP)
    assert [row["label"] for row in answer["predictions"]] == [label for label, _ in video[:5]]
    assert answer["predictions"][0]["probability"] == pytest.approx(video[0][1])


def test_predict_of_an_upload_equals_that_of_the_same_example(client: Client, page: Served) -> None:
    before = len(page.service.cache)
    uploaded = client.predict(handle_file(str(CLIP)), top=15, api_name="/predict")
    example = client.predict(example="earth_rotates", top=15, api_name="/predict")
    assert len(uploaded["predictions"]) == 15
    assert uploaded["clip"]["sha256"] == example["clip"]["sha256"]
    for ours, theirs in zip(uploaded["predictions"], example["predictions"], strict=True):
        assert ours["probability"] == pytest.approx(theirs["probability"], abs=1e-6)
    assert len(page.service.cache) <= before + 1  # the example; an API caller's clip is not stored


def test_explain_gives_the_analysis_numbers(client: Client, page: Served) -> None:
    answer = client.predict(
        example="earth_rotates", frame=2, x=100.5, y=60, layer="res4.1", levels=2, api_name="/explain"
    )
    analysis = page.service.analysis(page.service.open_example("earth_rotates"))
    points = analysis.sampling_points((2, 100.5, 60), "res4.1", 2)
    selected = answer["sampling_points"]["selected"]
    assert len(selected["points"]) == 81
    assert selected["points"][40] == pytest.approx(points.points[40].tolist())
    assert selected["weights"] == pytest.approx(points.weights.tolist())
    assert selected["frame"] == 3


def test_explain_takes_another_moment(client: Client, page: Served) -> None:
    uploaded = client.predict(handle_file(str(CLIP)), start=4, stride=1, api_name="/explain")
    example = client.predict(example="earth_rotates", start=4, stride=1, api_name="/explain")
    assert uploaded["clip"]["frames"] == example["clip"]["frames"] == list(range(4, 20))
    with pytest.raises(AppError, match="start must be at least 0, not -1"):
        client.predict(example="earth_rotates", start=-1, stride=1, api_name="/explain")
    with pytest.raises(AppError, match="start='soon' is not possible"):
        client.predict(example="earth_rotates", start="soon", api_name="/explain")


def test_timeline_gives_the_models_own_numbers(client: Client, page: Served) -> None:
    answer = client.predict(example="earth_rotates", top=2, api_name="/timeline")
    service = page.service
    assert answer == service.timeline(service.open_example("earth_rotates")).to_dict(2)
    uploaded = client.predict(handle_file(str(CLIP)), top=2, api_name="/timeline")
    assert [moment["start"] for moment in uploaded["moments"]] == [moment["start"] for moment in answer["moments"]]
    with pytest.raises(AppError, match="Give either a clip or the name of an example"):
        client.predict(api_name="/timeline")


def test_the_guide_s_code_runs(page: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "".join(code for code in blocks(ROOT / "docs" / "api.md", "python") if NEEDS_A_SERVER in code)
    assert "http://127.0.0.1:7860" in code
    shutil.copy(CLIP, tmp_path / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    exec(code.replace("http://127.0.0.1:7860", page.address), found := {})
    assert len(found["prediction"]["predictions"]) == 5
    assert len(found["moments"]["moments"]) == 8
    assert found["numbers"]["query"] == {"t": 1, "x": 60, "y": 40, "layer": "res4.1", "levels": 2}
    assert len(found["numbers"]["sampling_points"]["selected"]["points"]) == 81
    asked = set(re.findall(r'api_name="/(\w+)"', code))
    assert asked == set(endpoints(page)), "each has an example"
    assert found["lesson"]["choice"] == {"t": 1, "x": 60, "y": 40, "layer": "res4.1", "levels": 2}
    assert found["file"]["type"] == "image/png"
    assert found["verdict"]["headline"]


def test_the_guide_s_plain_requests_are_answered(page: Served) -> None:
    guide = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    (asked,) = re.findall(r"curl -s http://127.0.0.1:7860/(\S+) -H \S+ \S+ -d '([^']+)'", guide)
    (fetched,) = re.findall(r"curl -s http://127.0.0.1:7860/(\S+)/EVENT_ID", guide)
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(page.address + asked[0], asked[1].encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        event = json.load(response)["event_id"]
    with urllib.request.urlopen(f"{page.address}{fetched}/{event}", timeout=60) as response:
        assert "event: complete" in response.read().decode()


def endpoints(page: Served) -> list[str]:
    return [str(each.api_name) for each in page.page.fns.values() if each.api_visibility == "public"]


def test_explain_fills_in_what_is_left_out(client: Client) -> None:
    answer = client.predict(example="cockatoo_moves_right", api_name="/explain")
    assert answer["query"]["layer"] == "res3.0"
    assert (answer["class_evidence"]["method"], answer["class_evidence"]["layer"]) == ("integrated_gradients", "res2")
    json.dumps(answer, allow_nan=False)


def test_explain_answers_for_any_class_and_method(client: Client) -> None:
    asked = {"target": "3", "against": "2", "method": "layer_cam", "evidence_layer": "res4"}
    answer = client.predict(example="cockatoo_moves_right", **asked, api_name="/explain")
    evidence = answer["class_evidence"]
    assert (evidence["target"], evidence["method"], evidence["layer"]) == (3, "layer_cam", "res4")
    assert evidence["against"] == 2


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "Give either a clip or the name of an example."),
        ({"example": "nope"}, "There is no example 'nope'"),
        ({"example": "earth_rotates", "layer": "res9.9"}, r"There is no SIFA layer 'res9\.9'"),
        ({"example": "earth_rotates", "frame": 1}, "Give all of frame, x and y, or none"),
        ({"example": "earth_rotates", "frame": 99, "x": 1, "y": 1}, "There is no feature frame 99"),
        ({"example": "earth_rotates", "frame": 0, "x": -40, "y": 1}, r"The point \(-40, 1\) is outside the clip"),
        ({"example": "earth_rotates", "levels": 7}, "levels=7.* is not possible"),
    ],
)
def test_bad_arguments_are_answered_in_one_sentence(client: Client, given: dict, sentence: str) -> None:
    with pytest.raises(AppError, match=sentence):
        client.predict(**given, api_name="/explain")


def test_top_must_be_positive(client: Client) -> None:
    with pytest.raises(AppError, match=r"top=0.* is not possible"):
        client.predict(example="earth_rotates", top=0, api_name="/predict")


def test_a_text_file_is_refused_in_one_sentence(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "notes.mp4"
    path.write_text("just words")
    with pytest.raises(AppError, match=r"notes\.mp4 is not a video"):
        client.predict(handle_file(str(path)), api_name="/predict")


def test_an_address_is_not_fetched(client: Client, page: Served) -> None:
    with pytest.raises(AppError, match="fetches nothing from addresses"):
        client.predict(handle_file(f"{page.address}theme.css"), api_name="/predict")


def test_a_file_of_the_server_is_not_read(page: Served) -> None:
    url = page.address
    with urllib.request.urlopen(f"{url}config") as response:
        functions = json.load(response)["dependencies"]
    number = next(function["id"] for function in functions if function["api_name"] == "predict")
    forged = {"path": str(CLIP), "meta": {"_type": "gradio.FileData"}}
    body = {"data": [forged, "", 5], "fn_index": number, "session_hash": "forged"}
    request = urllib.request.Request(
        f"{url}gradio_api/queue/join", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request).close()
    with urllib.request.urlopen(f"{url}gradio_api/queue/data?session_hash=forged", timeout=60) as stream:
        events = [json.loads(line[6:]) for line in stream.read().decode().splitlines() if line.startswith("data: ")]
    (done,) = (event for event in events if event["msg"] == "process_completed")
    assert done["success"] is False
    assert "sha256" not in json.dumps(done)


def test_callers_at_the_same_time_get_the_answers_to_their_own_questions(page: Served) -> None:
    names = ["earth_rotates", "cockatoo_moves_right", "person_jumping_jacks", "person_walks_left_close"]

    def ask(name: str) -> str:
        return Client(page.address, verbose=False).predict(example=name, api_name="/predict")["clip"]["name"]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, names)) == [f"{name}.mp4" for name in names]


def test_uploads_lie_in_the_private_folder_only(client: Client, page: Served, tmp_path: Path) -> None:
    path = tmp_path / "unmistakable.mp4"
    shutil.copy(CLIP, path)
    client.predict(handle_file(str(path)), api_name="/predict")
    assert [found.name for found in page.folder.rglob("unmistakable.mp4")] == ["unmistakable.mp4"]


@pytest.mark.parametrize("path", ["monitoring", "gradio_api/file=/etc/passwd", "gradio_api/file=pyproject.toml"])
def test_nothing_else_is_served(page: Served, path: str) -> None:
    try:
        with urllib.request.urlopen(f"{page.address}{path}") as response:
            status = response.status
    except urllib.error.HTTPError as error:
        status = error.code
    assert status in (403, 404)
