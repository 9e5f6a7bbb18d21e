"""A public data set, from a server to a folder that the library reads; and all that can go wrong on the way."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faulty_server import Server, server, sha256
from published_layouts import ARCHIVES, mask, mvtec_ad, picture, write_archive, write_folder

from mrkd_edu import AnomalyFolder
from mrkd_edu.data.files import DataError
from mrkd_edu.data.layouts import find_categories
from mrkd_edu.runtime.writing import NotWritten, unfinished_name
from mrkd_edu.sources import fetch, place, registry
from mrkd_edu.sources.convert import SIGNS, recognised
from mrkd_edu.sources.fetch import get, take
from mrkd_edu.sources.place import Placed
from mrkd_edu.sources.record import held
from mrkd_edu.sources.registry import ALL, SETS, DataSet, find_set

SMALL: dict[str, dict[str, Any]] = {  # what the small archives have less of
    "mvtec_ad": {"categories": ("bottle", "metal_nut", "zipper")},
    "mvtec_loco": {"categories": ("pushpins",)},
    "mvtec_ad_2": {"categories": ("can",)},
    "visa": {"categories": ("candle",)},
    "magnetic_tile": {"counts": {"good": 21, "blowhole": 1}},
}


@pytest.fixture
def room() -> Iterator[Server]:
    with server() as running:
        yield running


@pytest.fixture
def published(room: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., DataSet]:
    """Put a set's small archive on the server, and its address and hash into the registry."""

    def publish(name: str, files: dict[str, bytes] | None = None, **faults: Any) -> DataSet:
        ending, content = ARCHIVES[name]
        archive = write_archive(tmp_path / f"published{ending}", content() if files is None else files).read_bytes()
        url = room.put(SETS[name].archive, archive, **faults)
        known = sha256(archive) if SETS[name].sha256 else None
        entry = replace(SETS[name], url=url, sha256=known, size=len(archive), **SMALL.get(name, {}))
        changed = {**SETS, name: entry}
        for module in (registry, fetch, place):
            monkeypatch.setattr(module, "SETS", changed)
        return entry

    return publish


def got(name: str, tmp_path: Path, **options: Any) -> Placed:
    return get(name, tmp_path / "data", progress=False, **options)


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) if folder.exists() else []


# ------------------------------------------------------------------------------------------------- the registry


def test_every_entry_says_all() -> None:
    for entry in ALL:
        assert entry.sha256 is None or (len(entry.sha256) == 64 and int(entry.sha256, 16))
        assert entry.sha256 or entry.counts, "without a hash, the numbers of images must say whether it is whole"
        assert entry.url.startswith("https://") and entry.page.startswith("https://")
        assert entry.cite and entry.terms and entry.categories and entry.shows
        assert entry.name in SIGNS and entry.name in ARCHIVES


def test_the_facts_are_those_that_were_handed_over() -> None:
    table = Path(__file__).parents[2] / "shared" / "datasets.csv"
    if not table.exists():
        pytest.skip(f"no table of facts at {table}")
    for line in table.read_text().splitlines()[2:]:
        name, url, _, known, licence, *_ = line.split(",")
        assert (SETS[name].url, SETS[name].sha256) == (url, known or None)
        assert licence in (SETS[name].licence, "author allows any use; cite Huang et al. 2018")


# --------------------------------------------------------------------------------------- from server to folder

TEST_SETS = {  # train, good test, defective test images of each small category
    "mvtec_ad": (4, 1, 1),
    "mvtec_loco": (3, 1, 2),
    "mvtec_ad_2": (3, 1, 1),
    "visa": (3, 1, 1),
    "btad": (3, 1, 1),
    "kolektor_sdd": (6, 6, 3),
    "magnetic_tile": (16, 5, 1),
}


@pytest.mark.parametrize("name", SETS)
def test_every_set_becomes_a_folder_that_the_library_reads(
    name: str, published: Callable[..., DataSet], tmp_path: Path
) -> None:
    published(name)
    placed = got(name, tmp_path)
    assert not placed.already and not placed.problems
    categories = find_categories(placed.folder)
    assert [folder.name for folder in categories] == sorted(placed.categories)
    for folder in categories:
        data = AnomalyFolder(folder)
        labels = data.test_labels
        assert (len(data.train), int((labels == 0).sum()), int(labels.sum())) == TEST_SETS[name]
        assert data.has_masks and data.test_masks(24)[labels == 1].any(axis=(1, 2)).all()
        assert not data.repeated()
    record = json.loads((placed.folder / "source.json").read_text())
    assert record["licence"] == SETS[name].licence and record["cite"] and len(record["sha256"]) == 64
    assert held(tmp_path / "data") == {name: sorted(placed.categories)}
    assert visible(tmp_path / "data") == ([name] if SETS[name].sha256 else ["archives", name])


def test_masks_of_one_image_are_united(published: Callable[..., DataSet], tmp_path: Path) -> None:
    published("mvtec_loco")
    data = AnomalyFolder(got("mvtec_loco", tmp_path).folder / "pushpins")
    logical = next(i for i, sample in enumerate(data.test) if sample.kind == "logical_anomalies")
    assert data.test_masks(96)[logical].any(axis=0).sum() == 2 * 18  # two squares of 6 of 32 pixels, on 96


@pytest.mark.parametrize(("name", "item"), [("kolektor_sdd", r"kos(\d+)"), ("magnetic_tile", r"num_(\d+)\d{3}")])
def test_no_item_is_on_both_sides(
    name: str, item: str, published: Callable[..., DataSet], tmp_path: Path
) -> None:
    published(name)
    data = AnomalyFolder(find_categories(got(name, tmp_path).folder)[0])
    sides = [{re.search(item, s.path.name)[1] for s in part} for part in (data.train, data.test)]  # type: ignore[index]
    assert sides[0] and sides[1] and not sides[0] & sides[1]


def test_a_second_call_does_nothing(published: Callable[..., DataSet], room: Server, tmp_path: Path) -> None:
    published("mvtec_ad")
    first = got("mvtec_ad", tmp_path)
    before = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")}
    again = got("mvtec_ad", tmp_path)
    assert again.already and again.images == first.images and len(room.asked) == 1
    assert before == {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")}


def test_categories_one_after_the_other(published: Callable[..., DataSet], room: Server, tmp_path: Path) -> None:
    published("mvtec_ad")
    assert got("mvtec_ad", tmp_path, categories=["bottle"]).categories == ["bottle"]
    assert visible(tmp_path / "data" / "mvtec_ad") == ["bottle", "source.json"]
    second = got("mvtec_ad", tmp_path, categories=["zipper", "bottle"])
    assert second.archive and len(room.asked) == 1, "the archive was kept"
    assert visible(tmp_path / "data" / "mvtec_ad") == ["bottle", "source.json", "zipper"]
    assert held(tmp_path / "data") == {"mvtec_ad": ["bottle", "zipper"]}


def test_an_unknown_category_or_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no category bottel; it has bottle"):
        got("mvtec_ad", tmp_path, categories=["bottel"])
    with pytest.raises(DataError, match=r"did you mean mvtec_ad\?"):
        got("mvtec-da", tmp_path)


def test_a_category_that_is_not_as_it_was(published: Callable[..., DataSet], tmp_path: Path) -> None:
    published("mvtec_ad")
    folder = got("mvtec_ad", tmp_path, categories=["bottle"]).folder
    (folder / "bottle" / "train" / "good" / "000.png").unlink()
    with pytest.raises(DataError, match=r"has 6 files, not 7"):
        got("mvtec_ad", tmp_path, categories=["bottle"])


@pytest.mark.parametrize("lying", ["mvtec_ad/bottle/mine.txt", "mvtec_ad"])
def test_what_lies_there_is_not_overwritten(lying: str, published: Callable[..., DataSet], tmp_path: Path) -> None:
    published("mvtec_ad")
    path = tmp_path / "data" / lying
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(DataError, match=r"already|is a file"):
        got("mvtec_ad", tmp_path)
    assert path.read_text() == "mine"


# ------------------------------------------------------------------------------------------------- what goes wrong


def nothing_there(tmp_path: Path) -> bool:
    """No set, no half of one, and nothing hidden but locks; an archive may be kept."""
    left = [path.name for path in (tmp_path / "data").iterdir()]
    return all(name == "archives" or name.endswith(".lock") for name in left)


def test_a_download_that_breaks_leaves_nothing_and_goes_on(
    published: Callable[..., DataSet], room: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    entry = published("btad", cut=[20_000, *[0] * 20])
    with pytest.raises(DataError, match="Give the same command again"):
        got("btad", tmp_path)
    assert nothing_there(tmp_path)
    room.files[entry.archive].cut.clear()
    assert got("btad", tmp_path).categories == ["01", "02", "03"]
    assert room.asked[-1][1] is not None, "it went on from where it was"


def test_another_hash_than_the_published_one(published: Callable[..., DataSet], room: Server, tmp_path: Path) -> None:
    entry = published("btad")
    room.files[entry.archive].content += b"?"
    with pytest.raises(DataError, match="another file than the published one"):
        got("btad", tmp_path)
    assert nothing_there(tmp_path) and not visible(tmp_path / "data" / "archives")


def test_a_hash_that_is_not_known_is_recorded_and_held_to(
    published: Callable[..., DataSet], room: Server, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    entry = published("magnetic_tile")
    first = sha256(room.files[entry.archive].content)
    placed = got("magnetic_tile", tmp_path)
    assert f"Recorded: {first}" in capsys.readouterr().err
    assert json.loads((tmp_path / "data" / "archives" / "hashes.json").read_text()) == {entry.archive: first}
    placed.folder.rename(tmp_path / "elsewhere")
    room.files[entry.archive].content += b"?"
    with pytest.raises(DataError, match="another file than the published one"):
        got("magnetic_tile", tmp_path)


def test_a_set_without_a_hash_is_known_by_its_numbers(published: Callable[..., DataSet], tmp_path: Path) -> None:
    files = ARCHIVES["magnetic_tile"][1]()
    lost = next(name for name in files if name.endswith("exp1_num_5040.jpg"))
    del files[lost]
    published("magnetic_tile", files)
    with pytest.raises(DataError, match=r"20 good, not 21.*--any-version"):
        got("magnetic_tile", tmp_path)
    assert nothing_there(tmp_path)
    source = tmp_path / "published.zip"
    assert take(source, tmp_path / "data", any_version=True, progress=False).folder.name == "magnetic_tile"


@pytest.mark.parametrize("row", ["../../outside.png", "/etc/passwd.png", "candle/nothing.JPG"])
def test_a_table_that_names_other_files(row: str, published: Callable[..., DataSet], tmp_path: Path) -> None:
    files = ARCHIVES["visa"][1]()
    files["split_csv/1cls.csv"] += f"\ncandle,test,normal,{row},".encode()
    published("visa", files)
    with pytest.raises(DataError, match=r"leads out of its folder|names candle/nothing\.JPG"):
        got("visa", tmp_path)
    assert nothing_there(tmp_path)


def test_no_room_is_found_before_the_download(
    published: Callable[..., DataSet], room: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published("btad")
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(NotWritten, match="MB are needed"):
        got("btad", tmp_path)
    assert not room.asked


GET = """
import sys
from dataclasses import replace
from mrkd_edu.sources import fetch, place, registry
entry = replace(registry.SETS["btad"], url=sys.argv[1], sha256=sys.argv[2], size=None)
for module in (registry, fetch, place):
    module.SETS = {"btad": entry}
before = sys.argv[4]
exec(before)
placed = fetch.get("btad", sys.argv[3], progress=False)
print("already" if placed.already else "done", placed.images)
"""


def started(entry: DataSet, root: Path, before: str = "") -> subprocess.Popen:
    assert entry.sha256
    return subprocess.Popen(
        [sys.executable, "-c", GET, entry.url, entry.sha256, str(root), before],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_at_once(published: Callable[..., DataSet], room: Server, tmp_path: Path) -> None:
    entry = published("btad")
    both = [started(entry, tmp_path / "data") for _ in range(2)]
    said = sorted(process.communicate()[0].strip() for process in both)
    assert said == ["already 18", "done 18"]
    assert len(room.asked) == 1


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL on Windows")
@pytest.mark.parametrize("at", [0, 3, 10, 17, "placed", "renamed"])
def test_killed_while_it_is_put_in_place(
    at: int | str, published: Callable[..., DataSet], tmp_path: Path
) -> None:
    """Killed after some files, before the last step, or just after it: nothing or all, and the next call mends it."""
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    hooks = {
        "placed": f"place._into_place = lambda *_: exec({kill!r})",
        "renamed": f"old = place._into_place; place._into_place = lambda *a: (old(*a), exec({kill!r}))",
    }
    counting = (
        "from pathlib import Path; import itertools; count = itertools.count(); old = Path.replace\n"
        "def new(self, to):\n    if '/set/' in Path(to).as_posix():\n"
        f"        next(count) == {at} and exec({kill!r})\n    return old(self, to)\nPath.replace = new"
    )
    entry = published("btad")
    with started(entry, tmp_path / "data", hooks.get(str(at), counting)) as process:
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert visible(tmp_path / "data") in ([["archives", "btad"]] if at == "renamed" else [["archives"]])
    with started(entry, tmp_path / "data") as process:
        assert process.communicate()[0].strip() == ("already 18" if at == "renamed" else "done 18")
    hidden = [path.name for path in (tmp_path / "data").iterdir() if path.name.startswith(".")]
    assert all(name.endswith(".lock") for name in hidden), "what the killed one left is gone"


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for a child on Windows")
def test_ctrl_c_while_it_is_sorted(published: Callable[..., DataSet], tmp_path: Path) -> None:
    press = "place._into_place = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)"
    entry = published("btad")
    with started(entry, tmp_path / "data", press) as process:
        assert "KeyboardInterrupt" in process.communicate()[1]
    assert nothing_there(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="no limit of file size on Windows")
def test_a_disk_that_fills_up_while_it_is_unpacked(published: Callable[..., DataSet], tmp_path: Path) -> None:
    """The write that does not fit any more, as the system reports it."""
    limit = (
        "from mrkd_edu.sources import archive\nold = archive._write\n"
        "def full(member, path, *rest):\n"
        "    if path.name == '0000.png' and 'ko' in path.parts: raise OSError(28, 'No space left on device')\n"
        "    return old(member, path, *rest)\narchive._write = full"
    )
    entry = published("btad")
    with started(entry, tmp_path / "data", limit) as process:
        said = process.communicate()[1]
    assert "No space left on device. Make room" in said
    assert nothing_there(tmp_path)


# ------------------------------------------------------------------------------------------------- import


@pytest.mark.parametrize("name", SETS)
def test_a_folder_that_was_unpacked_by_hand(name: str, published: Callable[..., DataSet], tmp_path: Path) -> None:
    published(name)
    files = ARCHIVES[name][1]()
    source = write_folder(tmp_path / "from the stick", files)
    assert recognised(source) == name
    placed = take(source, tmp_path / "data", progress=False)
    assert placed.folder.name == name and not placed.problems
    assert {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()} == set(files), "copied"
    assert take(source, tmp_path / "data", progress=False).already


@pytest.mark.parametrize("renamed", ["mvtec.tar.xz", None])
def test_an_archive_from_a_browser(renamed: str | None, published: Callable[..., DataSet], tmp_path: Path) -> None:
    """Whatever a browser calls it: its hash, or its folders, say what it is."""
    entry = published("mvtec_ad")
    archive = (tmp_path / "published.tar.xz").rename(tmp_path / (renamed or entry.archive))
    placed = take(archive, tmp_path / "data", progress=False)
    assert placed.folder.name == "mvtec_ad" and placed.categories == ["bottle", "metal_nut", "zipper"]
    assert take(archive, tmp_path / "data", progress=False).already


@pytest.mark.parametrize("renamed", ["btad.zip", "download.zip"])
def test_an_archive_of_another_version_is_refused(
    renamed: str, published: Callable[..., DataSet], tmp_path: Path
) -> None:
    published("btad")
    files = ARCHIVES["btad"][1]()
    other = write_archive(tmp_path / renamed, {**files, "more.txt": b"1"})
    with pytest.raises(DataError, match=r"is not BTAD as it is published: it has the SHA-256 .*--any-version"):
        take(other, tmp_path / "data", progress=False)
    assert nothing_there(tmp_path)
    assert take(other, tmp_path / "data", any_version=True, progress=False).folder.name == "btad"


@pytest.mark.parametrize("inside", ["", "washer/", "a/b/washer/"])
@pytest.mark.parametrize("ending", [".zip", ".tar.gz"])
def test_images_of_ones_own_in_an_archive(inside: str, ending: str, tmp_path: Path) -> None:
    files = {f"{inside}good/{i}.png": picture(i) for i in range(5)}
    files |= {f"{inside}scratch/0.png": picture(9), f"{inside}masks/scratch/0.png": mask((1, 1))}
    placed = take(write_archive(tmp_path / f"washer{ending}", files), tmp_path / "data", progress=False)
    data = AnomalyFolder(tmp_path / "data" / "washer" / "washer")
    assert placed.categories == ["washer"] and len(data.train) == 4 and data.has_masks
    named = take(tmp_path / f"washer{ending}", tmp_path / "data", name="mine", progress=False)
    assert named.folder == tmp_path / "data" / "mine"


def test_another_archive_of_a_name_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for folder, number in (("", 1), ("b", 2)):
        write_archive(tmp_path / folder / "washer.zip", {f"good/{i}.png": picture(number * 10 + i) for i in range(2)})
    take(tmp_path / "washer.zip", tmp_path / "data", progress=False)
    with pytest.raises(DataError, match=r"holds washer\.zip already.*--as"):
        take(tmp_path / "b" / "washer.zip", tmp_path / "data", progress=False)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"notes.txt": b"1"}, "holds no category"),
        ({"inner.zip": b"PK"}, "nothing but other archives"),
        ({"a/train/good/0.txt": b"1"}, "holds no images"),
        ({"../good/0.png": picture(0)}, "leads out of its folder"),
    ],
)
def test_archives_without_a_data_set(files: dict[str, bytes], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        take(write_archive(tmp_path / "a.zip", files), tmp_path / "data", progress=False)
    assert nothing_there(tmp_path)


def test_what_the_library_would_refuse_is_said_and_put_there(tmp_path: Path) -> None:
    """Of a set of gigabytes, one mask that is missing must not cost the rest."""
    files = {f"parts/washer/train/good/{i}.png": picture(i) for i in range(3)}
    files |= {"parts/washer/test/bent/0.png": picture(5), "parts/washer/test/bent/1.png": picture(6)}
    files |= {"parts/washer/ground_truth/bent/0_mask.png": mask((1, 1))}
    placed = take(write_archive(tmp_path / "parts.zip", files), tmp_path / "data", progress=False)
    assert len(placed.problems) == 1 and placed.problems[0].startswith("washer: no mask for 1 of the 2")


def test_names_of_a_set_in_any_spelling() -> None:
    assert find_set(" MVTec-LOCO ").name == "mvtec_loco"


def test_pixels_are_not_touched(published: Callable[..., DataSet], tmp_path: Path) -> None:
    published("mvtec_ad")
    folder = got("mvtec_ad", tmp_path, categories=["bottle"]).folder
    assert np.array_equal((folder / "bottle/train/good/000.png").read_bytes(), mvtec_ad()["bottle/train/good/000.png"])


def test_threads_of_one_program_do_it_once(published: Callable[..., DataSet], room: Server, tmp_path: Path) -> None:
    published("btad")
    done: list[Placed] = []
    threads = [threading.Thread(target=lambda: done.append(got("btad", tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(placed.already for placed in done) == [False, True, True, True]
    assert len(room.asked) == 1


def test_what_a_killed_one_left_goes_whatever_is_in_the_name(tmp_path: Path) -> None:
    left = tmp_path / f"{unfinished_name('nut [old]')}123"
    left.mkdir()
    with place.our_turn(tmp_path, "nut [old]"):
        assert not left.exists()


def test_a_name_of_ones_own_holds_for_a_public_set_too(published: Callable[..., DataSet], tmp_path: Path) -> None:
    """It is converted as what it is, and called as one wants it."""
    published("btad")
    source = write_folder(tmp_path / "stick", ARCHIVES["btad"][1]())
    placed = take(source, tmp_path / "data", name="ours", progress=False)
    assert placed.folder == tmp_path / "data" / "ours" and placed.categories == ["01", "02", "03"]
    assert len(AnomalyFolder(placed.folder / "01").train) == 3
