"""Files made to exhaust: each costs one sentence and a worker within its limit, and the next file is read right."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

from sifa_core.data import Limits, read_clip
from sifa_core.errors import ClipError, ClipTooLargeError
from tests.data import hostile
from tests.data.isolated.conftest import LITTLE

SIZES = {
    "profile.png": 400,
    "profile.mov": 400,
    "profile.avi": 400,
    "text.png": 400,
    "text_in_every_frame.mov": 100,
    "compressed_header.mov": 400,
    "forged_samples.mp4": 100,
    "free_boxes.mp4": 500,
    "falling_chapters.mkv": 30,
    "empty_packets.mkv": 100,
    "long_and_thin.mov": 30,
}
IDLE_BYTES = 120_000_000
"""More than a worker has that has nothing to do."""
SHORT = Limits(max_decode_seconds=1.0)


def test_every_kind_has_a_size():
    assert set(SIZES) == set(hostile.EXHAUSTING)


@pytest.mark.parametrize("name", SIZES)
def test_one_sentence_within_the_limit(readers, good, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(hostile.EXHAUSTING[name](SIZES[name]))
    try:
        readers.read_clip(path, 4, limits=SHORT)
    except ClipError as error:
        sentence = str(error)
        assert sentence.startswith(name)
        assert sentence.endswith(".")
        assert sentence.count("\n") == 0
    else:
        assert name in ("long_and_thin.mov", "text_in_every_frame.mov")  # which a fast machine may get through
    np.testing.assert_array_equal(readers.read_clip(good, 4).frames, read_clip(good, 4).frames)
    readers.settle()
    assert 0 < readers.peak_bytes < IDLE_BYTES + LITTLE.memory_bytes


@pytest.mark.parametrize("name", ["profile.png", "profile.avi"])
def test_a_profile_that_unpacks_to_more_than_there_is(readers, tmp_path, name):
    """Inside the server, a million bytes of this once ended it."""
    path = tmp_path / name
    path.write_bytes(hostile.EXHAUSTING[name](1000))
    assert path.stat().st_size < 1_100_000
    with pytest.raises(ClipTooLargeError, match=f"^{name} would take more memory to read than a clip may take here"):
        readers.read_clip(path, 4)


def test_a_film_of_such_pictures(readers, tmp_path):
    """Its first picture counts for nothing or ends the reading; either way nobody else notices."""
    path = tmp_path / "profile.mov"
    path.write_bytes(hostile.EXHAUSTING["profile.mov"](1000))
    with pytest.raises(ClipError, match=r"^profile\.mov "):
        readers.read_clip(path, 4)


@pytest.mark.parametrize("name", hostile.REFERRING)
def test_no_other_file_is_read(readers, good, tmp_path, name):
    """Not one that is beside the file, even where it is named in a way that FFmpeg knows."""
    for number in range(3):
        (tmp_path / f"picture_{number:03d}.png").write_bytes(hostile.png(number=number))
    (tmp_path / name).write_bytes(hostile.referring(name, str(good)))
    for read in (readers.read_clip, read_clip):
        with pytest.raises(ClipError) as told:
            read(tmp_path / name, 4)
        assert str(told.value).startswith(name.partition("%")[0])


def test_what_is_damaged_by_chance_gives_a_clip_or_a_sentence(readers, tmp_path):
    path = tmp_path / "damaged.mp4"
    sentences = []
    for seed in range(12):
        path.write_bytes(hostile.mutated(hostile.plain(), seed))
        try:
            assert readers.read_clip(path, 4, limits=SHORT).num_frames == 4
        except ClipError as error:
            sentences.append(str(error))
    assert 0 < len(sentences) < 12
    assert all(sentence.startswith("damaged.mp4") for sentence in sentences)


def test_makers_are_reproducible():
    assert hostile.mutated(hostile.plain(), 3) == hostile.mutated(hostile.plain(), 3)
    assert hostile.mutated(hostile.plain(), 3) != hostile.mutated(hostile.plain(), 4)


def test_files_of_many_zeros_are_what_they_claim(tmp_path: Path):
    assert zlib.decompress(hostile.deflated_zeros(3)) == bytes(3_000_000)
