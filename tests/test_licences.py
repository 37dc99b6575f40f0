"""Every package of the page has a licence that fits, and docs/licences.md says which; the image's files are pinned."""

from __future__ import annotations

import re
from importlib import metadata

import pytest
from packaging.utils import canonicalize_name

from tests import image_lock, licences


def told_as(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(licences, "statements", lambda name: iter([text]))


def test_the_list_is_that_of_the_packages_here() -> None:
    if metadata.version("gradio") not in (licences.ROOT / "constraints.txt").read_text(encoding="utf-8"):
        pytest.skip("another set of packages than the tested one is installed")
    assert licences.PAGE.read_text(encoding="utf-8") == licences.page()


@pytest.mark.parametrize(
    ("text", "families"),
    [
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", "MIT, Apache-2.0, MPL-2.0"),
        ("License :: OSI Approved :: BSD License", "BSD"),
        ("MIT-CMU", "MIT-CMU"),
    ],
)
def test_licences_that_fit(monkeypatch: pytest.MonkeyPatch, text: str, families: str) -> None:
    told_as(monkeypatch, text)
    assert licences.licence("one") == families


@pytest.mark.parametrize("text", ["AGPL-3.0-only", "MIT AND GPL-2.0", "Do as you like", "LicenseRef-Proprietary", ""])
def test_others_are_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    told_as(monkeypatch, text)
    with pytest.raises(ValueError, match="one has a licence that is not known to fit"):
        licences.licence("one")


def test_the_image_has_the_packages_of_the_tested_set() -> None:
    pinned = dict(re.findall(r"^([\w-]+)==(\S+) --hash=sha256:[0-9a-f]{64}$", image_lock.LOCK.read_text(), re.M))
    lines = [line for line in image_lock.LOCK.read_text().splitlines() if not line.startswith("#")]
    assert len(pinned) == len(lines), "every line has a hash"
    tested = re.findall(r"^([\w-]+)==(\S+)$", (licences.ROOT / "constraints.txt").read_text(), re.M)
    for name, version in tested:
        assert pinned.get(canonicalize_name(name), version) == version
    missing = set(licences.packages()) - set(pinned) - set(image_lock.CHOSEN_LATER)
    assert not missing


def test_the_lock_has_a_line_for_every_file_but_torch() -> None:
    def file(name: str) -> dict[str, object]:
        return {
            "metadata": {"name": name, "version": "1.0"},
            "download_info": {"archive_info": {"hashes": {"sha256": "ab"}}},
        }

    text = image_lock.lock({"install": [file("torch"), file("Py_Thing"), file("av")]})
    assert text.removeprefix(image_lock.HEAD) == "av==1.0 --hash=sha256:ab\npy-thing==1.0 --hash=sha256:ab\n"
