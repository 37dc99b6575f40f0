"""A look at a page that is served: `make smoke URL=https://example.org/sifa`. Ends with code 1 if anything is amiss.

Asks for the page, its health, the answer to an example and a route that must not be there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import httpx

EXAMPLE = "earth_rotates"


def smoke(url: str, say: Callable[[str], None] = print) -> bool:
    """Whether the page at `url` is well; `say` is told of each step."""
    fine = True
    with httpx.Client(base_url=url.rstrip("/") + "/", timeout=60, follow_redirects=True) as client:
        for title, step in (("health", _health), ("page", _page), ("routes", _routes), ("an example", _example)):
            try:
                problem = step(client)
            except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError) as error:
                problem = f"no answer that can be understood ({type(error).__name__})"
            say(f"{title}: {problem or 'fine'}")
            fine = fine and not problem
    return fine


def _health(client: httpx.Client) -> str:
    response = client.get("healthz")
    return "" if response.status_code == 200 and response.json()["status"] == "ok" else "the server is not ready"


def _page(client: httpx.Client) -> str:
    response = client.get("")
    if response.status_code != 200 or "SIFA Explorer" not in response.text:
        return "this is not SIFA Explorer"
    return "" if "content-security-policy" in response.headers else "a proxy drops the security headers"


def _routes(client: httpx.Client) -> str:
    status = client.post("gradio_api/process_recording").status_code
    return "" if status == 404 else f"process_recording answers {status}"


def _example(client: httpx.Client) -> str:
    joined = client.post("gradio_api/call/predict", json={"data": [None, EXAMPLE, 1]})
    answer = client.get(f"gradio_api/call/predict/{joined.json()['event_id']}").text
    return "" if "event: complete" in answer and EXAMPLE in answer else "predict does not answer"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("error: give the address of a page, as in: make smoke URL=http://127.0.0.1:7860")
    sys.exit(0 if smoke(sys.argv[1]) else 1)
