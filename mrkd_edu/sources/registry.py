"""The public data sets that can be fetched: where each lies, what it may be used for, and how to know that it is whole.

The facts were collected from the data sets' own pages and from published loaders. A size is that of the archive; where
it is None, the server is asked. Where a hash is None, the publisher changes the archive now and then: the first
download records it, later ones are held against that, and the numbers of images say whether the set is the known one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import MappingProxyType

from mrkd_edu.data.files import DataError

NOT_COMMERCIAL = "CC BY-NC-SA 4.0"
TERMS = MappingProxyType(
    {
        NOT_COMMERCIAL: "Name the authors. Not for commercial use. What is made of it must have the same licence.",
        "CC BY 4.0": "Name the authors. Commercial use is allowed.",
        "free, by its author's word": "The author allows any use and asks to be cited. There is no licence text.",
    }
)
MVTEC = (
    "bottle", "cable", "capsule", "carpet", "grid", "hazelnut", "leather", "metal_nut",
    "pill", "screw", "tile", "toothbrush", "transistor", "wood", "zipper",
)  # fmt: skip
VISA = (
    "candle", "capsules", "cashew", "chewinggum", "fryum", "macaroni1",
    "macaroni2", "pcb1", "pcb2", "pcb3", "pcb4", "pipe_fryum",
)  # fmt: skip


@dataclass(frozen=True)
class DataSet:
    """One public data set.

    Attributes:
        name: what it is called on the command line, and its folder.
        title: what its authors call it.
        shows: what is in the pictures.
        url: address of the archive.
        archive: name of the archive's file.
        sha256: of the archive, 64 hexadecimal digits; None: not fixed by its publisher.
        size: of the archive in bytes, as far as it is known.
        licence: a key of `TERMS`.
        page: where a person reads about it, and downloads it by hand.
        cite: the publication to cite.
        layout: how its archive is laid out inside: a key of `convert.CONVERTERS`.
        categories: the folders that it becomes.
        counts: images that the archive must hold, by kind, where there is no hash to know it by.
    """

    name: str
    title: str
    shows: str
    url: str
    archive: str
    sha256: str | None
    size: int | None
    licence: str
    page: str
    cite: str
    layout: str
    categories: tuple[str, ...]
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def terms(self) -> str:
        """What the licence allows, in a sentence or two."""
        return TERMS[self.licence]


ALL = (
    DataSet(
        name="mvtec_ad",
        title="MVTec AD",
        shows="15 products and materials, the usual yardstick",
        url=(
            "https://www.mydrive.ch/shares/150996/b52ecdcbf521176e9db9c731f2304b27/download/420938113-1629960298/"
            "mvtec_anomaly_detection.tar.xz"
        ),
        archive="mvtec_anomaly_detection.tar.xz",
        sha256="cf4313b13603bec67abb49ca959488f7eedce2a9f7795ec54446c649ac98cd3d",
        size=5_264_982_680,
        licence=NOT_COMMERCIAL,
        page="https://www.mvtec.com/company/research/datasets/mvtec-ad",
        cite="Bergmann, Batzner, Fauser, Sattlegger, Steger: The MVTec Anomaly Detection Dataset. IJCV 129 (2021).",
        layout="native",
        categories=MVTEC,
    ),
    DataSet(
        name="mvtec_loco",
        title="MVTec LOCO AD",
        shows="5 scenes in which something is missing, surplus or in a wrong place",
        url=(
            "https://www.mydrive.ch/shares/48237/1b9106ccdfbb09a0c414bd49fe44a14a/download/430647091-1646842701/"
            "mvtec_loco_anomaly_detection.tar.xz"
        ),
        archive="mvtec_loco_anomaly_detection.tar.xz",
        sha256="9e7c84dba550fd2e59d8e9e231c929c45ba737b6b6a6d3814100f54d63aae687",
        size=None,
        licence=NOT_COMMERCIAL,
        page="https://www.mvtec.com/company/research/datasets/mvtec-loco",
        cite=(
            "Bergmann, Batzner, Fauser, Sattlegger, Steger: Beyond Dents and Scratches: Logical Constraints in "
            "Unsupervised Anomaly Detection and Localization. IJCV 130 (2022)."
        ),
        layout="loco",
        categories=("breakfast_box", "juice_bottle", "pushpins", "screw_bag", "splicing_connectors"),
    ),
    DataSet(
        name="mvtec_ad_2",
        title="MVTec AD 2",
        shows="8 hard scenes: glass, dark fields, bulk goods, tiny defects",
        url=(
            "https://www.mydrive.ch/shares/150997/701c90d3aea6588f404936e32a674602/download/466712769-1743429042/"
            "mvtec_ad_2.tar.gz"
        ),
        archive="mvtec_ad_2.tar.gz",
        sha256="c0ded99ef32bfc8e352d52beb44515e5b292b8598cb963aadfa91ca0763505e4",
        size=32_739_596_982,
        licence=NOT_COMMERCIAL,
        page="https://www.mvtec.com/research-teaching/datasets/mvtec-ad-2",
        cite=(
            "Heckler-Kram, Neudeck, Scheler, König, Steger: The MVTec AD 2 Dataset: Advanced Scenarios for "
            "Unsupervised Anomaly Detection. arXiv 2503.21622 (2025)."
        ),
        layout="ad2",
        categories=("can", "fabric", "fruit_jelly", "rice", "sheet_metal", "vial", "wallplugs", "walnuts"),
    ),
    DataSet(
        name="visa",
        title="VisA",
        shows="12 products: circuit boards, food, candles",
        url="https://amazon-visual-anomaly.s3.us-west-2.amazonaws.com/VisA_20220922.tar",
        archive="VisA_20220922.tar",
        sha256="2eb8690c803ab37de0324772964100169ec8ba1fa3f7e94291c9ca673f40f362",
        size=None,
        licence="CC BY 4.0",
        page="https://github.com/amazon-science/spot-diff",
        cite=(
            "Zou, Jeong, Pemula, Zhang, Dabeer: SPot-the-Difference Self-Supervised Pre-training for Anomaly "
            "Detection and Segmentation. ECCV 2022."
        ),
        layout="visa",
        categories=VISA,
    ),
    DataSet(
        name="btad",
        title="BTAD",
        shows="3 industrial products, bodies and surfaces",
        url="https://avires.dimi.uniud.it/papers/btad/btad.zip",
        archive="btad.zip",
        sha256="461c9387e515bfed41ecaae07c50cf6b10def647b36c9e31d239ab2736b10d2a",
        size=1_229_193_337,
        licence=NOT_COMMERCIAL,
        page="https://avires.dimi.uniud.it/papers/btad/btad.zip",
        cite=(
            "Mishra, Verk, Fornasier, Piciarelli, Foresti: VT-ADL: A Vision Transformer Network for Image Anomaly "
            "Detection and Localization. ISIE 2021."
        ),
        layout="btad",
        categories=("01", "02", "03"),
    ),
    DataSet(
        name="kolektor_sdd",
        title="KolektorSDD",
        shows="cracks in the surface of commutators",
        url="https://go.vicos.si/kolektorsdd",
        archive="KolektorSDD.zip",
        sha256="65dc621693418585de9c4467d1340ea7958a6181816f0dc2883a1e8b61f9d4dc",
        size=None,
        licence=NOT_COMMERCIAL,
        page="https://www.vicos.si/resources/kolektorsdd/",
        cite=(
            "Tabernik, Šela, Skvarč, Skočaj: Segmentation-based deep-learning approach for surface-defect detection. "
            "Journal of Intelligent Manufacturing 31 (2020)."
        ),
        layout="kolektor",
        categories=("commutator",),
    ),
    DataSet(
        name="magnetic_tile",
        title="Magnetic tile defects",
        shows="5 kinds of defect in the surface of magnets",
        url="https://github.com/abin24/Magnetic-tile-defect-datasets./archive/refs/heads/master.zip",
        archive="magnetic_tile_master.zip",
        sha256=None,
        size=None,
        licence="free, by its author's word",
        page="https://github.com/abin24/Magnetic-tile-defect-datasets.",
        cite="Huang, Qiu, Yuan: Surface defect saliency of magnetic tile. The Visual Computer 36 (2020).",
        layout="magnetic_tile",
        categories=("magnetic_tile",),
        counts={"good": 952, "blowhole": 115, "break": 85, "crack": 57, "fray": 32, "uneven": 103},
    ),
)
SETS: Mapping[str, DataSet] = MappingProxyType({entry.name: entry for entry in ALL})


def find_set(name: str) -> DataSet:
    """A data set by its name, in any spelling that means it.

    Raises:
        DataError: there is no such set; the message says which there are.

    Example:
        >>> find_set("MVTec-AD").name
        'mvtec_ad'
        >>> find_set("mvtek_ad")
        Traceback (most recent call last):
        mrkd_edu.data.files.DataError: there is no data set mvtek_ad here; did you mean mvtec_ad? All of them: ...
    """
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    if plain in SETS:
        return SETS[plain]
    near = get_close_matches(plain, SETS, n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    raise DataError(f"there is no data set {name} here; {meant}All of them: {', '.join(SETS)}")
