"""From interlaced frames, whose even and odd rows were taken at different times, to whole ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import av
import av.filter


def deinterlaced(frames: Iterable[tuple[int, av.VideoFrame]]) -> Iterator[tuple[int, av.VideoFrame]]:
    """The same numbers with frames that show the moment of their first field; progressive frames stay as they are.

    FFmpeg's bwdif looks at the frame before and the frame after, so give one more on either side of those that count.
    """
    numbers: list[int] = []
    graph: av.filter.Graph | None = None
    form: tuple[object, ...] = ()
    for number, frame in frames:
        own = (frame.width, frame.height, frame.format.name)
        if graph is None or own != form:
            yield from _rest(graph, numbers)
            graph, form = _graph(frame), own
        graph.push(frame)
        numbers.append(number)
        yield from _ready(graph, numbers)
    yield from _rest(graph, numbers)


def _graph(frame: av.VideoFrame) -> av.filter.Graph:
    graph = av.filter.Graph()
    graph.threads = 1
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    graph.link_nodes(source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink"))
    graph.configure()
    return graph


def _rest(graph: av.filter.Graph | None, numbers: list[int]) -> Iterator[tuple[int, av.VideoFrame]]:
    if graph is not None:
        graph.push(None)
        yield from _ready(graph, numbers)
    numbers.clear()


def _ready(graph: av.filter.Graph, numbers: list[int]) -> Iterator[tuple[int, av.VideoFrame]]:
    while numbers:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        assert isinstance(frame, av.VideoFrame)
        yield numbers.pop(0), frame
