"""The upload box takes whatever the reader takes: the content decides, not what a browser makes of the ending."""

from __future__ import annotations

from app.page import build_page
from app.service import Service
from sifa_core.models import VideoModel


def test_no_ending_is_refused_by_the_browser(model: VideoModel) -> None:
    blocks = build_page(Service(model)).blocks.values()
    (upload,) = [block for block in blocks if getattr(block, "elem_id", None) == "upload"]
    assert upload.get_config()["file_types"] is None
