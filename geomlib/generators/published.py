"""The GANs of the paper: which file holds each, where it is said to be, and what it takes to load it.

The addresses are those that the source repositories name; they say nothing about how long these stay up.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

NOT_STATED = "not stated; see the source repository"
GAN_GEOMETRY = "https://github.com/Animadversio/GAN-Geometry"
GAN_ZOO = "https://github.com/facebookresearch/pytorch_GAN_zoo"
STYLEGAN2 = "https://github.com/rosinality/stylegan2-pytorch"


@dataclass(frozen=True)
class Published:
    """What is known of one published generator.

    Attributes:
        name: Name in the catalogue.
        title: Architecture, data and size of the images in words.
        architecture: Name for `build`.
        source: Repository whose code wrote the file, or which names its address.
        file: Name of the file, also in the cache folder.
        url: Public address of the file; None where there is none.
        by_hand: How to come by the file where a download does not do it.
        latent_dim: How many numbers one latent has.
        output_shape: `(C, H, W)` of one image, or `(C, L)` of one waveform.
        config: Keywords for `build`; what is left out has the published value already.
        options: Options of the generator with which it gives `output_shape`.
        state_key: Where in the file the state dict is: the first of these keys; none for a plain state dict.
        sha256: What is known of the file's SHA-256: all of it, its beginning, or nothing.
        needs_browser: Whether the address leads to a page and not to the file.
        public: Whether anyone can obtain the file, if only by a conversion.
        distance: Image distance of the paper, by its name for `load_distance`.
        licence: Licence of the weights.
    """

    name: str
    title: str
    architecture: str
    source: str
    file: str
    url: str | None
    by_hand: str
    latent_dim: int
    output_shape: tuple[int, ...]
    config: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    state_key: tuple[str, ...] = ()
    sha256: str = ""
    needs_browser: bool = False
    public: bool = True
    distance: str = "lpips-squeeze"
    licence: str = NOT_STATED


def _deepsim(layer: str, latent_dim: int, identifier: str, key: str, further: str = "") -> Published:
    address = "https://onedrive.live.com/download?cid=9CFFF6BCB39F6829&resid=9CFFF6BCB39F6829%21"
    return Published(
        name=f"deepsim-{layer}",
        title=f"DeePSiM, generator from CaffeNet {layer}, 256x256",
        architecture=f"deepsim_{layer}",
        source=GAN_GEOMETRY,
        file=f"upconvGAN_{layer}.pt",
        url=f"{address}{identifier}&authkey={key}",
        by_hand="open the address in a browser" + further,
        latent_dim=latent_dim,
        output_shape=(3, 256, 256),
    )


def _gan_zoo(name: str, title: str, path: str, latent_dim: int, size: int, sha256: str) -> Published:
    return Published(
        name=name,
        title=f"{title}, {size}x{size}",
        architecture=name.partition("-")[0],
        source=GAN_ZOO,
        file=path.rpartition("/")[2],
        url=f"https://dl.fbaipublicfiles.com/gan_zoo/{path}",
        by_hand="open the address in a browser, or look for a new one in hubconf.py of the source repository",
        latent_dim=latent_dim,
        output_shape=(3, size, size),
        state_key=("avgG", "netG"),  # the averaged generator; their loader takes the other where it is missing
        sha256=sha256,
    )


def _biggan(size: int) -> Published:
    file = f"biggan-deep-{size}-pytorch_model.bin"
    return Published(
        name=f"biggan-deep-{size}",
        title=f"BigGAN-deep, ImageNet, {size}x{size}",
        architecture="biggan_deep",
        source="https://github.com/huggingface/pytorch-pretrained-BigGAN",
        file=file,
        url=f"https://s3.amazonaws.com/models.huggingface.co/biggan/{file}",
        by_hand="open the address in a browser, or look for a new one in the source repository",
        latent_dim=256,
        output_shape=(3, size, size),
        config={"output_dim": size},
    )


def _stylegan2(name: str, data: str, size: int, file: str, channel_multiplier: int = 2) -> Published:
    variant = "f" if channel_multiplier == 2 else "e"
    return Published(
        name=f"stylegan2-{name}-{size}",
        title=f"StyleGAN2, {data}, {size}x{size}, config-{variant}",
        architecture="stylegan2",
        source=STYLEGAN2,
        file=file,
        url=None,
        by_hand="take NVIDIA's .pkl from the list at "
        "https://pythonawesome.com/a-collection-of-pre-trained-stylegan-2-models-to-download "
        "and convert it with convert_weight.py of the source repository",
        latent_dim=512,
        output_shape=(3, size, size),
        config={"size": size, "channel_multiplier": channel_multiplier},
        state_key=("g_ema",),
    )


def _entries() -> Iterator[Published]:
    further = ", or https://drive.google.com/uc?export=download&id=1vB_tOoXL064v9D6AKwl0gTs1a7jo68y7"
    yield _deepsim("fc6", 4096, "45339", "AC2rQMt7Obr0Ba4")
    yield _deepsim("fc7", 4096, "45338", "AJ0R-daUAVYjQIw")
    yield _deepsim("fc8", 1000, "45340", "AKIfNk7s5MGrRkU")
    yield _deepsim("pool5", 256 * 6 * 6, "45337", "AFaUAgeoIg0WtmA", further)
    yield _gan_zoo("dcgan-fashion", "DCGAN, fashionGen", "DCGAN_fashionGen-1d67302.pth", 120, 64, "1d67302")
    yield _gan_zoo(
        "pgan-celebahq-256", "Progressive GAN, celebA-HQ", "PGAN/celebaHQ_s6_i80000-6196db68.pth", 512, 256, "6196db68"
    )
    yield from map(_biggan, (128, 256, 512))
    yield Published(
        name="bigbigan-128",
        title="BigBiGAN (ResNet-50 encoder), ImageNet, 128x128",
        architecture="bigbigan",
        source="https://github.com/anvoynov/BigGANsAreWatching",
        file="BigBiGAN_x1.pth",
        url="https://www.dropbox.com/s/9w2i45h455k3b4p/BigBiGAN_x1.pth",
        by_hand="open the address in a browser, or run download_all.sh of the source repository",
        latent_dim=120,
        output_shape=(3, 128, 128),
    )
    yield Published(
        name="stylegan-face-256",
        title="StyleGAN, FFHQ, 256x256",
        architecture="stylegan",
        source="https://github.com/rosinality/style-based-gan-pytorch",
        file="stylegan-256px-new.model",
        url="https://drive.google.com/open?id=1QlXFPIOFzsJyjZ1AtfpnVhqW4Z0r8GLZ",
        by_hand="open the address in a browser",
        latent_dim=512,
        output_shape=(3, 256, 256),
        options={"step": 6},  # the file holds the blocks up to 1024 as well
        state_key=("g_running",),
        needs_browser=True,
    )
    yield _stylegan2("face", "FFHQ", 256, "ffhq-256-config-e-003810.pt", channel_multiplier=1)
    yield _stylegan2("face", "FFHQ", 512, "ffhq-512-avg-tpurun1.pt")
    yield _stylegan2("face", "FFHQ", 1024, "stylegan2-ffhq-config-f.pt")
    yield _stylegan2("cat", "LSUN cat", 256, "stylegan2-cat-config-f.pt")
    yield _stylegan2("car", "LSUN car", 512, "stylegan2-car-config-f.pt")
    yield _stylegan2("anime", "anime portraits", 512, "2020-01-11-skylion-stylegan2-animeportraits.pt")
    # That it shows ImageNet is what the authors' name for it says; the table of files does not.
    yield _stylegan2("imagenet", "ImageNet", 512, "model.ckpt-533504.pt")
    yield Published(
        name="wavegan-piano",
        title="WaveGAN, piano, 16384 samples at 16 kHz",
        architecture="wavegan",
        source="https://github.com/mostafaelaraby/wavegan-pytorch",
        file="gan_piano.tar",
        url=None,
        by_hand=f"the authors of the paper trained it themselves and could supply it ({GAN_GEOMETRY}); "
        "train.py of the source repository trains one",
        latent_dim=100,
        output_shape=(1, 16384),
        state_key=("generator",),
        public=False,
        distance="stft",  # beside the mean squared difference of the waveforms
    )


PUBLISHED: dict[str, Published] = {entry.name: entry for entry in _entries()}
