"""Where data sets are distributed, under which terms, and what to do with the files. Nothing is downloaded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rdc_sweeps.errors import UsageError


@dataclass(frozen=True)
class File:
    """A file that is distributed.

    Attributes:
        name: Of the file.
        place: Its address, or the page that leads to it.
        content: What is in it.
        needed: Whether the import needs it.
    """

    name: str
    place: str
    content: str
    needed: bool = True


@dataclass(frozen=True)
class Distribution:
    """A data set, as somebody distributes it.

    Attributes:
        name: Short name, for the command line.
        title: Full name and content.
        owners: Who made it, and the paper to cite.
        page: Its page.
        terms: What one may do with it, and how to get access.
        files: What to download.
        then: What to run once the files are there.
        note: What else to know.
    """

    name: str
    title: str
    owners: str
    page: str
    terms: str
    files: tuple[File, ...]
    then: tuple[str, ...]
    note: str = ""


DISTRIBUTIONS = (
    Distribution(
        name="nyuv2",
        title="NYU-V2: 795 training and 654 test images of rooms with classes and depth",
        owners="Silberman, Hoiem, Kohli and Fergus, ECCV 2012",
        page="https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html",
        terms="as the page states; its owners ask to cite the paper",
        files=(
            File(
                "nyu_depth_v2_labeled.mat",
                "http://horatio.cs.nyu.edu/mit/silberman/nyu_depth_v2/nyu_depth_v2_labeled.mat",
                "images, labels, depth (2.8 GB)",
            ),
            File(
                "normals_gt.tgz",
                "https://cs.nyu.edu/~deigen/dnl/normals_gt.tgz",
                "normals of Eigen et al. (ICCV 2015), which MTAN used; reported as no longer there since 2022",
                needed=False,
            ),
            File(
                "nyu_normals_gt.zip",
                "https://www.inf.ethz.ch/personal/ladickyl/nyu_normals_gt.zip",
                "normals of Ladicky et al. (ECCV 2014)",
                needed=False,
            ),
        ),
        then=(
            "rdc-sweep data import nyuv2 nyu_depth_v2_labeled.mat nyuv2",
            "export RDC_SWEEP_NYUV2_ROOT=nyuv2",
        ),
        note="the official split and the classes are built in: splits.mat and the toolbox are not needed",
    ),
    Distribution(
        name="cityscapes",
        title="Cityscapes: 2975 training and 500 validation images of streets with classes and disparity",
        owners="Cordts et al., CVPR 2016",
        page="https://www.cityscapes-dataset.com/downloads/",
        terms="free for non-commercial research after registration: https://www.cityscapes-dataset.com/license/",
        files=(
            File("leftImg8bit_trainvaltest.zip", "the page, after login", "images (11 GB)"),
            File("gtFine_trainvaltest.zip", "the page, after login", "labels (241 MB)"),
            File("disparity_trainvaltest.zip", "the page, after login", "disparities (3.5 GB)"),
        ),
        then=(
            "rdc-sweep data import cityscapes leftImg8bit gtFine disparity cityscapes",
            "export RDC_SWEEP_CITYSCAPES_ROOT=cityscapes",
        ),
        note="unpack all three in one folder",
    ),
    Distribution(
        name="mtan",
        title="NYU-V2 and Cityscapes as .npy files, with which the published numbers were measured",
        owners="Liu, Johns and Davison, CVPR 2019, from the data of the owners above",
        page="https://github.com/lorenmt/mtan",
        terms="those of the data sets they were made from",
        files=(
            File("nyuv2.zip", "the README of the page", "train/ and val/ at 288x384, with normals of Eigen et al."),
            File("cityscapes2.zip", "the README of the page", "train/ and val/ at 128x256", needed=False),
        ),
        then=("export RDC_SWEEP_NYUV2_ROOT=nyuv2", "export RDC_SWEEP_CITYSCAPES_ROOT=cityscapes2"),
        note="needs no import",
    ),
    Distribution(
        name="labels",
        title="Label settings: which training image of NYU-V2 and Cityscapes has which labels",
        owners="Li, Liu and Bilen, CVPR 2022",
        page="https://github.com/VICO-UoE/MTPSL",
        terms="MIT",
        files=(
            File("nyuv2_settings", "data/ of the repository", "onelabel.pth and randomlabels.pth"),
            File("cityscapes_settings", "data/ of the repository", "onelabel.pth", needed=False),
        ),
        then=("export RDC_SWEEP_LABEL_SETTINGS_ROOT=MTPSL/data",),
        note="for labels.origin: published, as under profile paper; other profiles draw their own",
    ),
)
"""In the order of most use. Addresses are those that the owners, or the pages of their code, have published."""


def find_distributions(names: Sequence[str]) -> list[Distribution]:
    """The distributions of these names; all if there are none.

    Raises:
        UsageError: There is no distribution of a name.
    """
    known = {one.name: one for one in DISTRIBUTIONS}
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"no data set {', '.join(unknown)}; choose from {', '.join(known)}")
    return [known[name] for name in names or known]


def described(distribution: Distribution) -> Iterator[str]:
    """Lines of text about a distribution."""
    yield f"{distribution.name}: {distribution.title}"
    yield f"  by     {distribution.owners}"
    yield f"  page   {distribution.page}"
    yield f"  terms  {distribution.terms}"
    for file in distribution.files:
        yield f"  {'file  ' if file.needed else 'option'} {file.name}: {file.content}"
        yield f"         {file.place}"
    if distribution.note:
        yield f"  note   {distribution.note}"
    for number, command in enumerate(distribution.then):
        yield f"  {'then' if not number else '    '}   {command}"
