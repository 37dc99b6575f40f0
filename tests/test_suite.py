"""The suite itself: no test depends on how fast the machine is, or waits for a time instead of for what it needs."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
CLOCKS = {"monotonic", "perf_counter", "process_time", "thread_time", "perf_counter_ns", "monotonic_ns", "timeit"}
"""Functions that tell how long something took. The time of day is none of them: files have one."""
PAUSES = {"sleep", "wait_for_timeout"}


def called(node: ast.AST) -> set[str]:
    """Names of the functions and methods that are called anywhere within a node."""
    calls = (each.func for each in ast.walk(node) if isinstance(each, ast.Call))
    return {call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "") for call in calls}


def timed_assertions(tree: ast.AST) -> Iterator[int]:
    """Lines of assertions about what a clock said, at once or by a name that was given to it."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for function in functions:
        timed: set[str] = set()
        for _ in range(2):  # a name may be made of another one
            for node in ast.walk(function):
                if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign) and node.value is not None:
                    names = {each.id for each in ast.walk(node.value) if isinstance(each, ast.Name)}
                    if called(node.value) & CLOCKS or names & timed:
                        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                        timed |= {t.id for each in targets for t in ast.walk(each) if isinstance(t, ast.Name)}
        for node in ast.walk(function):
            if isinstance(node, ast.Assert):
                names = {each.id for each in ast.walk(node.test) if isinstance(each, ast.Name)}
                if called(node.test) & CLOCKS or names & timed:
                    yield node.lineno


def fixed_pauses(tree: ast.AST) -> Iterator[int]:
    """Lines that pause, other than between two looks at what is waited for."""
    loops = [
        loop
        for loop in ast.walk(tree)
        if isinstance(loop, ast.While)
        or (isinstance(loop, ast.For) and any(isinstance(each, ast.Return | ast.Break) for each in ast.walk(loop)))
    ]
    looking = {id(each) for loop in loops for each in ast.walk(loop)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and id(node) not in looking:
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in PAUSES:
                yield node.lineno


def places(find: Callable[[ast.AST], Iterator[int]], words: set[str]) -> list[str]:
    """Where `find` finds something, in the files in which one of the words stands at all."""
    found = []
    for path in sorted(TESTS.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if any(word in text for word in words):
            found += [f"{path.relative_to(TESTS)}:{line}" for line in find(ast.parse(text))]
    return found


def test_no_assertion_is_about_a_clock() -> None:
    assert places(timed_assertions, CLOCKS) == []
    scripts = [path for path in TESTS.rglob("*.py") if path != Path(__file__)]
    in_the_browser = [path.name for path in scripts if "performance.now" in path.read_text(encoding="utf-8")]
    assert in_the_browser == []


def test_nothing_waits_for_a_fixed_time() -> None:
    assert [place for place in places(fixed_pauses, PAUSES) if not place.startswith("browser/tour.py")] == []


@pytest.mark.parametrize(
    "line",
    [
        "assert time.perf_counter() - start < 3",
        "took = time.monotonic() - start; assert took < 1",
        "start = process_time(); seconds = 2 * start; assert 5 > seconds",
        "took = []; took += [perf_counter()]; assert min(took) < 1",
    ],
)
def test_clocks_are_found(line: str) -> None:
    assert list(timed_assertions(ast.parse(f"def test():\n    {line}"))) == [2]


def test_pauses_are_found() -> None:
    code = "time.sleep(3)\npage.wait_for_timeout(9)\nwhile not there():\n    sleep(0.1)\nassert time.time() > 0"
    assert list(fixed_pauses(ast.parse(code))) == [1, 2]
    assert list(fixed_pauses(ast.parse("for i in range(9):\n    sleep(1)"))) == [2]
    assert list(fixed_pauses(ast.parse("for i in range(9):\n    sleep(1)\n    if there(): break"))) == []
    assert (
        list(timed_assertions(ast.parse(f"def test():\n    start = time.time()\n    assert start\n{code[:0]}"))) == []
    )


def own_loops(tree: ast.AST) -> Iterator[int]:
    """Lines that run an event loop in the thread of the tests."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "asyncio.run":
            yield node.lineno


def test_event_loops_have_threads_of_their_own() -> None:
    """Where a browser is driven, the thread of the tests has one already: whether it is depends on the order."""
    assert places(own_loops, {"asyncio"}) == []
