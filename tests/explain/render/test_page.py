"""The self-contained page: nothing of the payload can break out of its place, and nothing foreign can run."""

import base64
import dataclasses
import hashlib
import json
import re

import pytest

from sifa_core.explain import viewer
from sifa_core.explain.explanation import Explanation
from sifa_core.explain.render.page import embeddable_json, page_html
from tests.payloads import page_of

HOSTILE = (
    "</script><script>alert(1)</script><!--<img src=x onerror=alert(1)> & "
    "\u2028\u2029 ${7*7} {{script}} \" ' 🎬 \u202egpj"
)


@pytest.fixture(scope="module")
def page(analysis: Explanation) -> str:
    return page_of(analysis, query=(1, 20, 30), layer="res4.1", levels=2, target=3)


def payload_of(page: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="payload">(.*?)</script>', page, re.DOTALL)[1])


def test_holds_the_payload_with_hashes_and_choice(page: str, analysis: Explanation) -> None:
    payload = payload_of(page)
    assert payload["start"] == {"layer": "res4.1", "levels": 2, "query": [1, 20.0, 30.0], "paper": False}
    assert payload["evidence"][0]["target"]["index"] == 3
    assert payload["clip"]["sha256"] == analysis.clip.sha256
    assert payload["model"]["sha256"] == analysis.info.sha256


def test_policy_allows_exactly_the_scripts_and_styles_of_the_page(page: str) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none'")
    for word in ("connect-src", "unsafe", "http"):
        assert word not in policy
    for tag in ('script type="module"', "style"):
        text = re.search(rf"<{tag}>(.*?)</{tag.split()[0]}>", page, re.DOTALL)[1]
        assert f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy


def test_refers_to_nothing_outside(page: str) -> None:
    addresses = set(re.findall(r"https?://[^\s\"'`)]+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}  # the name of SVG's namespace, not a place to load from
    assert not re.search(r"@import|url\(|<link|src=\"(?!data:)", page)


def test_untrusted_text_stays_data(analysis: Explanation) -> None:
    clip = dataclasses.replace(analysis.clip, source=dataclasses.replace(analysis.clip.source, name=HOSTILE))
    hostile = Explanation.__new__(Explanation)
    hostile.__dict__.update(analysis.__dict__, clip=clip)
    page = page_of(hostile)
    assert payload_of(page)["clip"]["name"] == HOSTILE
    assert page.count("<script") == 2
    assert "onerror=alert(1)>" not in page
    assert "\u2028" not in page


def test_embeddable_json_escapes_what_html_and_javascript_read() -> None:
    text = embeddable_json({"<&>": HOSTILE, "lone": "\ud800"})
    assert text.isascii()
    assert not set("<>&") & set(text)
    assert json.loads(text) == {"<&>": HOSTILE, "lone": "\ud800"}
    with pytest.raises(ValueError, match="JSON"):
        embeddable_json(float("nan"))


def test_placeholders_in_the_payload_are_not_filled_in() -> None:
    page = page_html({"name": "{{script}}"})
    assert '{"name":"{{script}}"}' in page


def test_styles_and_script_are_fit_for_a_template() -> None:
    """A style sheet may meet a compiler of templates, which takes doubled braces for places to fill in."""
    assert "{{" not in viewer.viewer_styles()
    assert "</script" not in viewer.viewer_script()


def test_styles_of_the_viewer_keep_to_the_viewer() -> None:
    without_blocks = re.sub(r"@keyframes[^{]+\{(?:[^{}]*\{[^{}]*\})*\}", "", viewer.viewer_styles())
    rules = re.findall(r"(?:^|[{}])([^{}@]+)\{", without_blocks)
    assert len(rules) > 100
    assert [rule for rule in rules if ".sifa-viewer" not in rule] == []
