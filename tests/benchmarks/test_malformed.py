"""The run of wrong calls finds what is no sentence."""

from __future__ import annotations

import httpx
import pytest

from benchmarks.malformed import Outcome, is_sentence, make
from tests.app.malformed import Call

ANSWERS = {
    "/fine": httpx.Response(400, json={"detail": "This is not JSON."}),
    "/path": httpx.Response(400, json={"detail": "No such file /tmp/gradio/a."}),
    "/words": httpx.Response(404, text="Not found"),
    "/failed": httpx.Response(500, json={"detail": "Something went wrong."}),
    "/stream": httpx.Response(200, text="data: 1"),
}


@pytest.mark.parametrize(("path", "is_right"), [(path, path in ("/fine", "/stream")) for path in ANSWERS])
def test_wrong_answers_are_found(path: str, is_right: bool) -> None:
    transport = httpx.MockTransport(lambda request: ANSWERS[request.url.path])
    outcome = Outcome()
    with httpx.Client(base_url="http://page", transport=transport) as client:
        make(client, Call("POST", path), outcome)
    assert outcome.statuses.total() == 1
    assert (outcome.wrong == []) is is_right


def test_one_that_hangs_is_found() -> None:
    def hang(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("late")

    outcome = Outcome()
    with httpx.Client(base_url="http://page", transport=httpx.MockTransport(hang)) as client:
        make(client, Call("GET", "/x"), outcome)
    assert outcome.wrong == ["GET /x: ReadTimeout"]


def test_nothing_is_no_sentence_unless_there_can_be_none() -> None:
    assert is_sentence("", may_be_nothing=True)
    assert not is_sentence("", may_be_nothing=False)
