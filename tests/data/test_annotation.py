"""Lists, label files and folders as people have them: every class has its own name, or one sentence says why not."""

from __future__ import annotations

import json
import unicodedata

import cv2
import numpy as np
import pytest

from sifa_core.data.datasets import DatasetError, View, open_dataset
from sifa_core.data.datasets.formats import read_folders, read_list, read_something_v1, read_something_v2
from sifa_core.data.datasets.frame_folder import frame_files, read_frame_folder
from sifa_core.data.datasets.names import Names, read_names
from sifa_core.data.endings import VIDEO_SUFFIXES, is_litter, natural_key
from sifa_core.errors import BrokenVideoError, ConfigError

SOMETHING = "Putting something, something and something on the table"

LISTS = {
    "space, numbers": ("a.mp4 0\nb.mp4 1\n", [("a.mp4", "class 0"), ("b.mp4", "class 1")]),
    "comma": ("a.mp4,left\nb.mp4,right\n", [("a.mp4", "left"), ("b.mp4", "right")]),
    "tab": ("a.mp4\tgo left\nb.mp4\tgo right\n", [("a.mp4", "go left"), ("b.mp4", "go right")]),
    "semicolon": ("a.mp4;left\nb.mp4;right\n", [("a.mp4", "left"), ("b.mp4", "right")]),
    "heading path,label": ("path,label\na.mp4,left\n", [("a.mp4", "left")]),
    "heading filename,label": ("filename,label\na.mp4,left\nb.mp4,right\n", [("a.mp4", "left"), ("b.mp4", "right")]),
    "heading video_path,label": ("video_path,label\na.mp4,left\n", [("a.mp4", "left")]),
    "heading name,class": ("name,class\na.mp4,left\n", [("a.mp4", "left")]),
    "heading of any name": ("Datei,Klasse\na.mp4,links\nb.mp4,rechts\n", [("a.mp4", "links"), ("b.mp4", "rechts")]),
    "heading with spaces": ("video path\tclass name\na.mp4\tleft\n", [("a.mp4", "left")]),
    "class before file": ("label,path\nleft,a.mp4\nright,b.mp4\n", [("a.mp4", "left"), ("b.mp4", "right")]),
    "class before file, no heading": ("left,a.mp4\nright,b.mp4\n", [("a.mp4", "left"), ("b.mp4", "right")]),
    "quotes": (f'a.mp4,"{SOMETHING}"\nb.mp4,left\n', [("a.mp4", SOMETHING), ("b.mp4", "left")]),
    "quotes within quotes": ('a.mp4,"saying ""hi"""\nb.mp4,left\n', [("a.mp4", 'saying "hi"'), ("b.mp4", "left")]),
    "quoted file": ('"my clip, one.mp4",left\n', [("my clip, one.mp4", "left")]),
    "quoted everything, space": ('"a.mp4" "playing guitar"\n', [("a.mp4", "playing guitar")]),
    "label with a space": (
        "a.mp4 playing guitar\nb.mp4 running\n",
        [("a.mp4", "playing guitar"), ("b.mp4", "running")],
    ),
    "label with several words": ("a.mp4 to run a race\n", [("a.mp4", "to run a race")]),
    "file with spaces": ("my clip 1.mp4 left\nb.mp4 right\n", [("my clip 1.mp4", "left"), ("b.mp4", "right")]),
    "path frames class": ("a.mp4 40 0\nb.mp4 38 1\n", [("a.mp4", "class 0"), ("b.mp4", "class 1")]),
    "path frames class name": ("a.mp4 40 go left\nb.mp4 38 go right\n", [("a.mp4", "go left"), ("b.mp4", "go right")]),
    "path,frames,class": ("a.mp4,40,left\nb.mp4,41,right\n", [("a.mp4", "left"), ("b.mp4", "right")]),
    "frame folders": ("clip_1 40 0\nclip_2 38 1\n", [("clip_1", "class 0"), ("clip_2", "class 1")]),
    "index column": (",path,label\n0,a.mp4,left\n1,b.mp4,right\n", [("a.mp4", "left"), ("b.mp4", "right")]),
    "index column, no heading": ("0,a.mp4,left\n1,b.mp4,right\n", [("a.mp4", "left"), ("b.mp4", "right")]),
    "index from one, path, frames, class": (
        "1;a.mp4;40;7\n2;b.mp4;41;9\n",
        [("a.mp4", "class 7"), ("b.mp4", "class 9")],
    ),
    "five columns with a heading": (
        "id,video_path,fps,num_frames,class\n7,a.mp4,25,40,left\n9,b.mp4,25,41,right\n",
        [("a.mp4", "left"), ("b.mp4", "right")],
    ),
    "byte order mark": ("\ufeffpath,label\na.mp4,left\n", [("a.mp4", "left")]),
    "carriage returns": ("path,label\r\na.mp4,left\r\nb.mp4,right\r\n", [("a.mp4", "left"), ("b.mp4", "right")]),
    "remarks and empty lines": ("# mine\n\na.mp4 left\n\n# end\n", [("a.mp4", "left")]),
    "separator at the end": ("a.mp4;left;\nb.mp4;right;\n", [("a.mp4", "left"), ("b.mp4", "right")]),
    "comma in a label of a tab list": (f"a.mp4\t{SOMETHING}\nb.mp4\tleft\n", [("a.mp4", SOMETHING), ("b.mp4", "left")]),
    "comma in a label of a semicolon list": (f"a.mp4;{SOMETHING}\n", [("a.mp4", SOMETHING)]),
    "spaces after commas": ("a.mp4, left\nb.mp4, right\n", [("a.mp4", "left"), ("b.mp4", "right")]),
    "other endings": (
        "a.MTS left\nb.3gp right\nc.m2ts left\n",
        [("a.MTS", "left"), ("b.3gp", "right"), ("c.m2ts", "left")],
    ),
    "folders in paths": ("x/a.mp4 left\ny/z/b.mp4 right\n", [("x/a.mp4", "left"), ("y/z/b.mp4", "right")]),
    "one name, two spellings": (
        "a.mp4,caf\u00e9\nb.mp4,cafe\u0301\n",
        [("a.mp4", "caf\u00e9"), ("b.mp4", "caf\u00e9")],
    ),
}


@pytest.mark.parametrize("case", LISTS)
def test_lists(tmp_path, case):
    """Files and class names, line by line."""
    text, expected = LISTS[case]
    (tmp_path / "train.csv").write_bytes(text.encode())
    for folder in ("clip_1", "clip_2"):
        (tmp_path / folder).mkdir()
    listing = read_list(tmp_path / "train.csv", tmp_path)
    found = [(str(entry.path.relative_to(tmp_path)), listing.labels[entry.label]) for entry in listing.entries]
    assert found == expected


LABEL_FILES = {
    "plain": ("l.txt", "left\nright\n", ("left", "right"), 0),
    "heading id,name": ("l.csv", "id,name\n0,left\n1,right\n", ("left", "right"), 0),
    "heading name,id": ("l.csv", "name,id\nleft,1\nright,0\n", ("right", "left"), 0),
    "heading of one word": ("l.txt", "label\nleft\nright\n", ("left", "right"), 0),
    "numbers in front": ("l.txt", "0 left\n1 right\n", ("left", "right"), 0),
    "numbers from one": ("l.txt", "1 left\n2 right\n", ("left", "right"), 1),
    "numbers behind": ("l.txt", "go left 0\ngo right 1\n", ("go left", "go right"), 0),
    "numbers with tabs, unsorted": ("l.txt", "2\tc\n1\tb\n0\ta\n", ("a", "b", "c"), 0),
    "numbers with points of a heading": ("l.txt", "Nr;Klasse\n1;links\n2;rechts\n", ("links", "rechts"), 1),
    "names that begin with numbers": ("l.txt", "3 point shot\n400 m run\n", ("3 point shot", "400 m run"), 0),
    "names that end with numbers": ("l.txt", "walk 3\nwalk 7\n", ("walk 3", "walk 7"), 0),
    "commas in names": ("l.txt", f"{SOMETHING}\nleft\n", (SOMETHING, "left"), 0),
    "quoted names": ("l.csv", f'0,"{SOMETHING}"\n1,left\n', (SOMETHING, "left"), 0),
    "mark and returns": ("l.txt", "\ufeffleft\r\nright\r\n", ("left", "right"), 0),
    "json list": ("l.json", '["left", "right"]', ("left", "right"), 0),
    "json name to number": ("l.json", '{"right": 1, "left": 0}', ("left", "right"), 0),
    "json name to text": ("l.json", '{"right": "1", "left": "0"}', ("left", "right"), 0),
    "json number to name": ("l.json", '{"1": "right", "0": "left"}', ("left", "right"), 0),
    "json from one": ("l.json", '{"1": "left", "2": "right"}', ("left", "right"), 1),
    "id2label": ("l.json", '{"model": "x", "id2label": {"0": "left", "1": "right"}}', ("left", "right"), 0),
    "label2id": ("l.json", '{"label2id": {"left": 0, "right": 1}}', ("left", "right"), 0),
    "json of entries": ("l.json", '[{"id": 1, "name": "right"}, {"id": 0, "name": "left"}]', ("left", "right"), 0),
    "decomposed": ("l.txt", unicodedata.normalize("NFD", "caf\u00e9\nth\u00e9\n"), ("caf\u00e9", "th\u00e9"), 0),
}


@pytest.mark.parametrize("case", LABEL_FILES)
def test_label_files(tmp_path, case):
    name, text, labels, first = LABEL_FILES[case]
    (tmp_path / name).write_bytes(text.encode())
    names = read_names(tmp_path / name)
    assert (names.labels, names.first) == (labels, first)
    assert len(names.places) == len(labels)


def test_a_list_counts_as_its_label_file_does(tmp_path):
    (tmp_path / "labels.txt").write_text("1 left\n2 right\n")
    (tmp_path / "train.txt").write_text("a.mp4 1\nb.mp4 2\n")
    listing = read_list(tmp_path / "train.txt", names=read_names(tmp_path / "labels.txt"))
    assert [listing.labels[entry.label] for entry in listing.entries] == ["left", "right"]


@pytest.mark.parametrize(
    ("labels", "lines", "parts"),
    [
        ("1 left\n2 right\n", "a.mp4 0\nb.mp4 1\n", ("'0'", "line 1 of train.txt", "line 1 of labels.txt ('left')")),
        ("left\nright\n", "a.mp4 1\nb.mp4 2\n", ("'2'", "line 2 of train.txt", "line 2 of labels.txt ('right')")),
        ("0 left\n1 right\n", "a.mp4 2\n", ("numbered 0 to 1", "line 1 of train.txt", "line 2 of labels.txt")),
        ("left\nright\n", "a.mp4 up\n", ("'up'", "line 1 of train.txt", "line 1 of labels.txt ('left')")),
    ],
)
def test_names_and_numbers_that_disagree_are_refused_with_both_lines(tmp_path, labels, lines, parts):
    (tmp_path / "labels.txt").write_text(labels)
    (tmp_path / "train.txt").write_text(lines)
    with pytest.raises(DatasetError) as caught:
        read_list(tmp_path / "train.txt", names=read_names(tmp_path / "labels.txt"))
    assert all(part in str(caught.value) for part in parts), caught.value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.mp4,left\nb.mp4,right,up\n", "Line 2 of .* has 3 columns where line 1 has 2"),
        ("a.mp4,left\nb.mp4,\n", r"Line 2 of .* is not a file and a class"),
        ("a.mp4,left,fast\nb.mp4,right,slow\n", "which of them is the class cannot be told .line 1"),
        ("a.mp4\nb.mp4\n", "Line 1 of .* is not a file and a class"),
        ("path,label\n", "lists no video"),
    ],
)
def test_lists_that_cannot_be_read_say_where(tmp_path, text, message):
    (tmp_path / "train.csv").write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_list(tmp_path / "train.csv")


def test_label_files_that_make_no_sense_say_where(tmp_path):
    (tmp_path / "twice.txt").write_text("left\nright\n\nleft\n")
    with pytest.raises(DatasetError, match=r"'left' twice \(line 1 of twice.txt and line 4 of twice.txt\)"):
        read_names(tmp_path / "twice.txt")
    (tmp_path / "gap.json").write_text('{"left": 0, "right": 2}')
    with pytest.raises(DatasetError, match="entry 2 of gap.json has 2 for 'right'"):
        read_names(tmp_path / "gap.json")


def test_names_are_compared_in_one_form(tmp_path):
    """Composed in one place, decomposed in another; with the brackets of Something-Something on either side."""
    train = Names(("caf\u00e9", "Opening [something]"))
    decomposed = unicodedata.normalize("NFD", "caf\u00e9")
    (tmp_path / "val.csv").write_text(f"a.mp4,{decomposed}\nb.mp4,Opening something\n")
    assert [entry.label for entry in read_list(tmp_path / "val.csv", names=train).entries] == [0, 1]
    (tmp_path / "v1.csv").write_text("7;Opening something\n")
    assert read_something_v1(tmp_path / "v1.csv", names=train).entries[0].label == 1
    (tmp_path / "v2.json").write_text(json.dumps([{"id": 1, "template": "Opening [something]"}]))
    assert read_something_v2(tmp_path / "v2.json", names=Names(("a", "Opening something"))).entries[0].label == 1
    for name, spelling in (("train", "caf\u00e9"), ("val", decomposed)):
        (tmp_path / name / spelling).mkdir(parents=True)
        (tmp_path / name / spelling / "a.mp4").touch()
    known = read_folders(tmp_path / "train")
    assert read_folders(tmp_path / "val", names=Names(known.labels)).entries[0].label == 0


def test_litter_is_no_class_and_no_video(tmp_path):
    for name in ("left", "right", ".ipynb_checkpoints", "__MACOSX", "@eaDir", "empty"):
        (tmp_path / name).mkdir()
    for name in ("left/a.mp4", "left/._a.mp4", "left/.hidden.mp4", "left/Thumbs.db", "left/notes.txt", "right/b.MTS",
                 ".ipynb_checkpoints/a.mp4", "__MACOSX/a.mp4", "@eaDir/a.mp4", "loose.mp4"):  # fmt: skip
        (tmp_path / name).touch()
    listing = read_folders(tmp_path)
    assert listing.labels == ("left", "right")
    assert [entry.path.name for entry in listing.entries] == ["a.mp4", "b.MTS"]
    table = listing.table()
    for part in ("._a.mp4", "Thumbs.db", "'.txt'", "__MACOSX", "'empty' holds no video", "beside the folders"):
        assert part in table, table
    assert table.splitlines()[:3] == [
        "2 videos of 2 classes",
        "    0  left         1  a.mp4",
        "    1  right        1  b.MTS",
    ]


@pytest.mark.parametrize("suffix", sorted(VIDEO_SUFFIXES))
def test_every_ending_that_the_reader_reads_is_a_video(tmp_path, suffix):
    (tmp_path / "left").mkdir()
    (tmp_path / "left" / f"a{suffix.upper()}").touch()
    assert [entry.path.suffix for entry in read_folders(tmp_path).entries] == [suffix.upper()]


def _pictures(folder, names) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for value, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full((20, 24, 3), value, np.uint8))


def test_frames_come_in_the_order_of_their_numbers(tmp_path):
    _pictures(tmp_path / "clip", [f"{number}.png" for number in range(1, 41)])
    frames = read_frame_folder(tmp_path / "clip", np.arange)
    assert frames[:, 0, 0, 0].tolist() == list(range(40))
    assert sorted(["10", "9", "2b", "2a"], key=natural_key) == ["2a", "2b", "9", "10"]


def test_flow_pictures_are_no_frames(tmp_path):
    names = [f"{start}_{number:05d}.png" for number in range(1, 6) for start in ("img", "flow_x", "flow_y")]
    _pictures(tmp_path / "clip", [*names, "cover.png", "._img_00001.png"])
    assert [file.name for file in frame_files(tmp_path / "clip")] == [f"img_{n:05d}.png" for n in range(1, 6)]
    chosen = frame_files(tmp_path / "clip", "flow_x_{:05d}.png")
    assert [file.name for file in chosen] == [f"flow_x_{n:05d}.png" for n in range(1, 6)]


def test_pictures_of_several_kinds_need_a_template(tmp_path):
    _pictures(tmp_path / "clip", ["left_1.png", "left_2.png", "right_1.png", "right_2.png"])
    with pytest.raises(BrokenVideoError, match=r"left_... \(2\), right_... \(2\); a template such as"):
        frame_files(tmp_path / "clip")
    assert len(frame_files(tmp_path / "clip", "right_{}.png")) == 2
    with pytest.raises(BrokenVideoError, match="no picture that is named like"):
        frame_files(tmp_path / "clip", "middle_{:03d}.png")
    with pytest.raises(ConfigError, match="needs one number"):
        frame_files(tmp_path / "clip", "frames.png")


def test_folders_of_frames_per_class(tmp_path):
    """As denseflow writes them: class, clip, img_ and flow_ pictures."""
    for label, clip, value in (("left", "a", 3), ("left", "b", 5), ("right", "c", 7)):
        _pictures(tmp_path / label / clip, [f"{kind}_{n:05d}.jpg" for kind in ("img", "flow_x") for n in range(value)])
    data = open_dataset("folders", str(tmp_path), view=View(3, 1, 16, training=False))
    assert data.labels == ("left", "right")
    assert [(entry.path.name, entry.label) for entry in data.entries] == [("a", 0), ("b", 0), ("c", 1)]
    assert data[(2, 0)].clips.shape == (1, 3, 16, 16, 3)


CSV = "label,youtube_id,time_start,time_end,split\nzumba,xyz,10,20,{0}\nabseiling,-uvw,3,13,{0}\n"


@pytest.mark.parametrize("split", ["train", "val", "validate"])
@pytest.mark.parametrize("one_root", [True, False])
@pytest.mark.parametrize("by_class", [True, False])
def test_kinetics_as_distributed(tmp_path, split, one_root, by_class):
    """One root with a folder per split, or the folder of the split; flat or with a folder per class."""
    for part in ("train", "val"):
        for label, name in (("zumba", "xyz_000010_000020.mp4"), ("abseiling", "-uvw_000003_000013.mp4")):
            folder = tmp_path / part / label if by_class else tmp_path / part
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
    listing = tmp_path / f"{split}.csv"
    listing.write_text(CSV.format(split))
    part = "train" if split == "train" else "val"
    found = read_list(listing, tmp_path if one_root else tmp_path / part)
    assert found.labels == ("abseiling", "zumba")
    assert [entry.path.relative_to(tmp_path).parts[0] for entry in found.entries] == [part, part]
    assert [entry.path.name[:4] for entry in found.entries] == ["xyz_", "-uvw"]
    assert found.left_out == ()


def test_kinetics_with_missing_videos_and_other_endings(tmp_path):
    (tmp_path / "xyz_000010_000020.mkv").touch()
    (tmp_path / "train.csv").write_text(CSV.format("train"))
    found = read_list(tmp_path / "train.csv")
    assert found.entries[0].path.suffix == ".mkv"
    assert found.left_out == ("1 of 2 videos of train.csv are not there.",)


@pytest.mark.parametrize("inner", [True, False])
def test_something_as_downloaded(tmp_path, inner):
    for version, name in ((1, "7"), (2, "11.webm")):
        folder = tmp_path / (f"20bn-something-something-v{version}" if inner else "")
        (folder / name).mkdir(parents=True) if version == 1 else (folder.mkdir(exist_ok=True), (folder / name).touch())
    (tmp_path / "v1.csv").write_text("7;Opening something\n")
    (tmp_path / "v2.json").write_text(
        json.dumps([{"id": "11", "label": "opening a box", "template": "Opening [something]"}])
    )
    for listing in (
        read_something_v1(tmp_path / "v1.csv", tmp_path),
        read_something_v2(tmp_path / "v2.json", tmp_path),
    ):
        assert listing.entries[0].path.exists()
        assert listing.labels == ("Opening something",)


@pytest.mark.parametrize("kind", ["list", "folders", "something_v1", "something_v2"])
def test_a_database_is_refused_in_words(tmp_path, kind):
    (tmp_path / "data.mdb").touch()
    (tmp_path / "list.txt").write_text("a 1 0\n")
    source = tmp_path if kind == "folders" else tmp_path / "list.txt"
    with pytest.raises(DatasetError, match="is an LMDB database, which is not read here"):
        open_dataset(kind, str(source), root=str(tmp_path))


def test_litter_by_name():
    assert [is_litter(name) for name in (".a", "._a.mp4", "__MACOSX", "Thumbs.db", "a.mp4", "left")] == [True] * 4 + [
        False
    ] * 2


def test_large_pictures_are_made_smaller_as_they_are_read(tmp_path):
    _pictures(tmp_path / "clip", ["1.png", "2.png"])
    whole = read_frame_folder(tmp_path / "clip", np.arange)
    side = min(whole.shape[1:3])
    small = read_frame_folder(tmp_path / "clip", np.arange, max_short_side=side // 2)
    assert min(small.shape[1:3]) == side // 2
    assert small[:, 0, 0].tolist() == whole[:, 0, 0].tolist()
    assert read_frame_folder(tmp_path / "clip", np.arange, max_short_side=side).shape == whole.shape
