"""Thousands of wrong calls of every route that the page has: none may be an error of the server, tell a path, or hang.

    python -m benchmarks.malformed [--calls 2000] [--seed 0]

Serves a page, makes the calls of tests/app/malformed.py, and prints how many were answered with which status. An answer
of 500 or more, one that says more than a sentence, and one that does not come within `PATIENCE` seconds is listed, and
ends the run with 1.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import gradio as gr
import httpx

from benchmarks.served import served_page
from tests.app.malformed import Call, calls

PATIENCE = 20.0
"""Seconds."""
SECRETS = ("Traceback", "/site-packages/", "pydantic", "/tmp/", "/home/", "/root/", "sifa-explorer-")
"""What no answer to a wrong call has."""


@dataclass
class Outcome:
    """What came of the calls."""

    statuses: Counter[int] = field(default_factory=Counter)
    routes: set[str] = field(default_factory=set)
    """Those that were called."""
    slowest: float = 0.0
    wrong: list[str] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=2000, metavar="N", help="that are made (default 2000)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the calls (default 0)")
    options = parser.parse_args(arguments)
    # Who may ask how much is another matter; here every call is to come as far as it can.
    much = {"SIFA_QUEUE": "10000", "SIFA_ADDRESS_QUEUE": "10000", "SIFA_SESSION_QUEUE": "10000"}
    with served_page(much) as page, httpx.Client(base_url=page.address, timeout=PATIENCE) as client:
        outcome = Outcome()
        for call in calls(shape_of_the_page(), options.calls, random.Random(options.seed)):
            make(client, call, outcome)
        well = client.get("/healthz").json()["status"] == "ok"
    counts = ", ".join(f"{number} x {status}" for status, number in sorted(outcome.statuses.items()))
    print(
        f"{outcome.statuses.total()} calls of {len(outcome.routes)} routes: {counts}; slowest {outcome.slowest:.1f} s"
    )
    print("\n".join([*outcome.wrong, "the page is well" if well else "THE PAGE IS NOT WELL"]))
    return 0 if well and not outcome.wrong else 1


def shape_of_the_page() -> gr.Blocks:
    """The page as it is served: its functions and components have the same numbers in every process."""
    import sifa_core as sifa
    from app.page import build_page
    from app.service import Service

    return build_page(Service(sifa.load_model("sifa_net_tiny")))


def make(client: httpx.Client, call: Call, outcome: Outcome) -> None:
    """Make one call and look at the answer. A stream of answers is not read: it begins, and is left."""
    started = time.monotonic()
    told = ""
    try:
        with client.stream(call.method, call.path, content=call.body, headers=call.headers) as response:
            status = response.status_code
            if status >= 400:
                told = response.read().decode(errors="replace")
    except httpx.HTTPError as error:
        outcome.wrong.append(f"{call.method} {call.path[:200]}: {type(error).__name__}")
        return
    outcome.slowest = max(outcome.slowest, time.monotonic() - started)
    outcome.statuses[status] += 1
    if call.route is not None:
        outcome.routes.add(call.route.path)
    if status >= 500 or not is_sentence(told, call.method == "HEAD" or status < 400):
        outcome.wrong.append(f"{call.method} {call.path[:200]}: {status} {told[:200]}")


def is_sentence(told: str, may_be_nothing: bool) -> bool:
    """Whether an answer to a wrong call is one sentence and no more."""
    if not told:
        return may_be_nothing
    try:
        sentence = json.loads(told)["detail"]
    except (ValueError, KeyError, TypeError):
        return False
    return sentence.endswith(".") and "\n" not in sentence and not any(secret in told for secret in SECRETS)


if __name__ == "__main__":
    sys.exit(main())
