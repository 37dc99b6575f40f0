"""The whole analysis as one HTML file that needs neither network nor server: the viewer with its payload inside."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

from sifa_core.explain import viewer
from sifa_core.explain.analysis import Analysis, Selection
from sifa_core.explain.render.payload import viewer_payload

_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def html(analysis: Analysis, selection: Selection) -> bytes:
    """One self-contained page. It may run only its own script and styles and may not ask the network for anything."""
    return page_html(viewer_payload(analysis, selection, all_methods=True)).encode()


def page_html(payload: dict[str, Any]) -> str:
    """The page of a payload."""
    script = f"\n{viewer.viewer_script()}sifaViewer.startPage(document);\n"
    styles = f"\n{viewer.page_styles()}\n"
    parts = {
        "policy": (
            f"default-src 'none'; img-src data: blob:; script-src '{_source(script)}'; style-src '{_source(styles)}'; "
            "base-uri 'none'; form-action 'none'"
        ),
        "styles": styles,
        "script": script,
        "payload": embeddable_json(payload),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], viewer.read("page.html"))


def embeddable_json(value: Any) -> str:
    """JSON in ASCII that is safe inside a script element: no character of it can end the element or start a comment.

    U+2028 and U+2029 are escaped like everything beyond ASCII.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return re.sub("[<>&]", lambda match: _ESCAPES[match[0]], text)


def _source(text: str) -> str:
    """What a content security policy calls `text`."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"
