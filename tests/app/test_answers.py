"""No answer is lost between the streams in which the page gets its answers."""

from __future__ import annotations

import asyncio
import random
from types import SimpleNamespace
from typing import Any

import pytest

from app.gate import answers
from app.gate.answers import CLOSE, Answers
from tests.loops import in_jumping_time

SESSION = "mine"


async def later(seconds: float) -> None:
    """After so many seconds of the loop's time."""
    come = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, come.set)
    await come.wait()


class Gradio:
    """A queue like Gradio's and its stream, which ends as soon as nothing is pending."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[str] = asyncio.Queue()
        self.pending: set[str] = set()
        queue = SimpleNamespace(pending_event_ids_session={SESSION: self.pending})
        self.page: Any = SimpleNamespace(_queue=queue)

    def push(self, question: str, seconds: float) -> None:
        """Take a question that is answered after so many seconds."""
        self.pending.add(question)
        asyncio.get_running_loop().call_later(seconds, self.messages.put_nowait, question)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.wait(
            (asyncio.ensure_future(self._send(send)), asyncio.ensure_future(receive())),
            return_when=asyncio.FIRST_COMPLETED,
        )

    async def _send(self, send: Any) -> None:
        while True:
            question = await self.messages.get()
            await send({"type": "http.response.body", "body": question.encode(), "more_body": True})
            self.pending.discard(question)
            if not self.pending:
                await send({"type": "http.response.body", "body": CLOSE, "more_body": True})
                await later(0)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return


class Browser:
    """Gradio's client in what matters here: it opens a stream at a receipt if it knows of none, and closes one when
    told. Everything that crosses the network takes its time."""

    def __init__(self, gradio: Gradio, streams: Answers, chance: random.Random) -> None:
        self.gradio, self.streams, self.chance = gradio, streams, chance
        self.is_open = False
        self.answered: list[str] = []
        self.opened = 0
        self.tasks: list[asyncio.Task[None]] = []

    async def _network(self) -> None:
        await later(self.chance.choice([0, 0.01, 0.2, 1.5]))

    async def ask(self, question: str, seconds: float) -> None:
        await self._network()
        self.gradio.push(question, seconds)
        await self.streams.receipt(SESSION)
        await self._network()
        if not self.is_open:
            self.is_open = True
            self.opened += 1
            self.tasks.append(asyncio.create_task(self._stream()))

    async def _stream(self) -> None:
        await self._network()
        arriving: asyncio.Queue[bytes] = asyncio.Queue()
        closed = asyncio.Event()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body" and message["body"]:
                arriving.put_nowait(message["body"])

        async def receive() -> Any:
            await closed.wait()
            return {"type": "http.disconnect"}

        async def read() -> None:
            while (body := await arriving.get()) != CLOSE:
                await self._network()
                self.answered.append(body.decode())
            await self._network()
            self.is_open = False
            await self._network()
            closed.set()

        reading = asyncio.create_task(read())
        await self.streams.stream(SESSION, {}, receive, send)
        await reading


@pytest.mark.parametrize("seed", range(12))
def test_every_question_is_answered_whenever_it_comes(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr(answers, "LINGER", chance.choice([0.0, 0.1, answers.LINGER]))

    async def visit() -> Browser:
        gradio = Gradio()
        browser = Browser(gradio, Answers(gradio, gradio.page), chance)
        asked = []
        for number in range(100):
            asked.append(asyncio.create_task(browser.ask(str(number), chance.choice([0, 0.1, 0.3]))))
            await later(chance.choice([0, 0.1, 0.7, 4]))
        await asyncio.wait_for(asyncio.gather(*asked), 30)
        for task in browser.tasks:  # each stream comes to its end, so all that it could say has been said
            await asyncio.wait_for(task, 30)
        return browser

    browser = in_jumping_time(visit())
    assert sorted(browser.answered, key=int) == [str(number) for number in range(100)]
    assert browser.opened > 5, "questions have come after the end of a stream, too"
