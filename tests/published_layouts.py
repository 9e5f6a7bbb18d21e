"""Small archives laid out inside as the publishers' are, for tests of download and conversion. No picture is theirs."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

Files = dict[str, bytes]


def picture(number: int, suffix: str = ".png") -> bytes:
    """A picture of its own for each number, 32 x 24 pixels."""
    pixels = np.random.default_rng(number).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    return _encoded(pixels, suffix)


def mask(*corners: tuple[int, int], value: int = 255, suffix: str = ".png") -> bytes:
    """A mask with a square of 6 pixels at each corner; none: empty."""
    pixels = np.zeros((24, 32), dtype=np.uint8)
    for y, x in corners:
        pixels[y : y + 6, x : x + 6] = value
    return _encoded(pixels, suffix)


def _encoded(pixels: np.ndarray, suffix: str) -> bytes:
    memory = io.BytesIO()
    Image.fromarray(pixels).save(memory, {".jpg": "JPEG", ".bmp": "BMP"}.get(suffix.lower(), "PNG"))
    return memory.getvalue()


def mvtec_ad() -> Files:
    """Three categories, `metal_nut` and `zipper` among them."""
    files = {"license.txt": b"CC BY-NC-SA 4.0"}
    for c, name in enumerate(("bottle", "metal_nut", "zipper")):
        for i in range(4):
            files[f"{name}/train/good/{i:03d}.png"] = picture(100 * c + i)
        files[f"{name}/test/good/000.png"] = picture(100 * c + 10)
        files[f"{name}/test/bent/000.png"] = picture(100 * c + 20)
        files[f"{name}/ground_truth/bent/000_mask.png"] = mask((3, 3))
        files[f"{name}/readme.txt"] = b"readme"
    return files


def mvtec_loco() -> Files:
    files = {}
    for i in range(3):
        files[f"pushpins/train/good/{i:03d}.png"] = picture(i)
    files["pushpins/validation/good/000.png"] = picture(10)
    files["pushpins/test/good/000.png"] = picture(20)
    for j, kind in enumerate(("logical_anomalies", "structural_anomalies")):
        files[f"pushpins/test/{kind}/000.png"] = picture(30 + j)
        files[f"pushpins/ground_truth/{kind}/000/000.png"] = mask((2, 2), value=207)
    files["pushpins/ground_truth/logical_anomalies/000/001.png"] = mask((14, 20), value=255)
    files["pushpins/defects_config.json"] = b"[]"
    return files


def mvtec_ad_2() -> Files:
    files = {}
    for i in range(3):
        files[f"mvtec_ad_2/can/train/good/{i:03d}_regular.png"] = picture(i)
    files["mvtec_ad_2/can/validation/good/000_regular.png"] = picture(10)
    files["mvtec_ad_2/can/test_public/good/000_regular.png"] = picture(20)
    files["mvtec_ad_2/can/test_public/bad/000_regular.png"] = picture(30)
    files["mvtec_ad_2/can/test_public/ground_truth/bad/000_regular_mask.png"] = mask((2, 2))
    files["mvtec_ad_2/can/test_private/000_regular.png"] = picture(40)
    files["mvtec_ad_2/can/test_private_mixed/000_mixed.png"] = picture(41)
    return files


def visa() -> Files:
    rows, files = ["object,split,label,image,mask"], {}
    for i in range(4):
        name = f"candle/Data/Images/Normal/{i:04d}.JPG"
        files[name] = picture(i, ".jpg")
        rows.append(f"candle,{'train' if i < 3 else 'test'},normal,{name},")
    files["candle/Data/Images/Anomaly/000.JPG"] = picture(10, ".jpg")
    files["candle/Data/Masks/Anomaly/000.png"] = mask((4, 4), value=1)
    rows.append("candle,test,anomaly,candle/Data/Images/Anomaly/000.JPG,candle/Data/Masks/Anomaly/000.png")
    files["candle/image_anno.csv"] = b"image,label,mask\n"
    files["split_csv/1cls.csv"] = "\n".join(rows).encode()
    files["split_csv/2cls_fewshot.csv"] = b"object,split,label,image,mask\n"
    return files


def btad() -> Files:
    files = {}
    for c, (name, suffix) in enumerate((("01", ".bmp"), ("02", ".png"), ("03", ".bmp"))):
        for i in range(3):
            files[f"BTech_Dataset_transformed/{name}/train/ok/{i:04d}{suffix}"] = picture(100 * c + i, suffix)
        files[f"BTech_Dataset_transformed/{name}/test/ok/0000{suffix}"] = picture(100 * c + 10, suffix)
        files[f"BTech_Dataset_transformed/{name}/test/ko/0000{suffix}"] = picture(100 * c + 20, suffix)
        files[f"BTech_Dataset_transformed/{name}/ground_truth/ko/0000.png"] = mask((5, 5))
    return files


def kolektor_sdd() -> Files:
    """Six items of three parts, the second part of each defective."""
    files = {}
    for item in range(1, 7):
        for part in range(3):
            files[f"kos{item:02d}/Part{part}.jpg"] = picture(10 * item + part, ".jpg")
            corners = [(6, 6)] if part == 1 else []
            files[f"kos{item:02d}/Part{part}_label.bmp"] = mask(*corners, suffix=".bmp")
    return files


def magnetic_tile() -> Files:
    """Eleven tiles, each in two exposures; one has a blowhole in its second."""
    top, files = "Magnetic-tile-defect-datasets.-master", {"Magnetic-tile-defect-datasets.-master/README.md": b"MT"}
    for tile in range(11):
        for exposure in (1, 2):
            name = f"exp{exposure}_num_{1000 * (tile + 1) + 40 * exposure}"
            spoilt = tile == 3 and exposure == 2
            folder = f"{top}/MT_{'Blowhole' if spoilt else 'Free'}/Imgs"
            files[f"{folder}/{name}.jpg"] = picture(10 * tile + exposure, ".jpg")
            files[f"{folder}/{name}.png"] = mask((7, 7)) if spoilt else mask()
    return files


ARCHIVES: dict[str, tuple[str, Callable[[], Files]]] = {  # by the name of the set: the archive's ending, its content
    "mvtec_ad": (".tar.xz", mvtec_ad),
    "mvtec_loco": (".tar.xz", mvtec_loco),
    "mvtec_ad_2": (".tar.gz", mvtec_ad_2),
    "visa": (".tar", visa),
    "btad": (".zip", btad),
    "kolektor_sdd": (".zip", kolektor_sdd),
    "magnetic_tile": (".zip", magnetic_tile),
}


def write_archive(path: Path, files: Files) -> Path:
    """An archive of these files, in the format that its name says."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
            for name, content in files.items():
                zipped.writestr(name, content)
        return path
    mode = {".xz": "w:xz", ".gz": "w:gz", ".bz2": "w:bz2"}.get(path.suffix, "w")
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path


def write_folder(folder: Path, files: Files) -> Path:
    """The same, unpacked."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder
