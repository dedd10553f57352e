"""What a picture of a face shows: where it looks, how wide the mouth is, by five landmarks; light and hue, by pixels.

The network is the third of MTCNN (Zhang et al. 2016, *Joint Face Detection and Alignment Using Multitask Cascaded
Convolutional Networks*), with the weights of the package `facenet-pytorch`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from geomlib._arguments import checked
from geomlib._checks import check_place
from geomlib.generators.archives import packaged_state
from geomlib.generators.checkpoints import trained

_SIDE = 64
_ROWS, _COLUMNS = (14, 60), (9, 55)  # where the faces are in pictures of 64 pixels, cut as CelebA's are
_CROP = 48
_BORDER = 3
_LUMINANCE = (0.2126, 0.7152, 0.0722)  # of red, green and blue (ITU-R BT.709)


@dataclass(frozen=True)
class FaceReadings:
    """What was read from N pictures.

    Attributes:
        yaw: `(N,)`, nose right of the middle of the eyes, in distances of the eyes.
        pitch: `(N,)`, nose below the middle of the eyes, in distances of the eyes.
        mouth: `(N,)`, width of the mouth in distances of the eyes.
        background: `(N,)`, mean of the three outer columns on each side, in [0, 1] as the picture.
        probability: `(N,)`, of a face, in [0, 1]; where it is low the other readings mean little.
        landmarks: `(N, 5, 2)`, left eye, right eye, nose, left and right corner of the mouth, as seen; x and y in
            units of the box that the network gets, 0 at its left and its top.
        light: `(N,)`, mean luminance of the box, in [0, 1] as the picture.
        hue: `(N,)`, in radians, red 0, green 2π/3, blue −2π/3: the circular mean of the hues in the box, each pixel
            weighing as it is coloured; that is the hue of the mean colour, and means nothing where that is grey.
    """

    yaw: Tensor
    pitch: Tensor
    mouth: Tensor
    background: Tensor
    probability: Tensor
    landmarks: Tensor
    light: Tensor
    hue: Tensor


class FaceReader(nn.Module):
    """Pictures to `FaceReadings`; differentiable, so that a reading has a gradient in a latent.

    Parameters have the names of the published state dict.

    Example:
        >>> reader = FaceReader().eval()  # untrained; `load_face_reader()` is trained
        >>> reader(torch.rand(2, 3, 64, 64)).yaw.shape
        torch.Size([2])
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 32, 3), nn.PReLU(32)
        self.conv2, self.prelu2 = nn.Conv2d(32, 64, 3), nn.PReLU(64)
        self.conv3, self.prelu3 = nn.Conv2d(64, 64, 3), nn.PReLU(64)
        self.conv4, self.prelu4 = nn.Conv2d(64, 128, 2), nn.PReLU(128)
        self.dense5, self.prelu5 = nn.Linear(1152, 256), nn.PReLU(256)
        self.dense6_1 = nn.Linear(256, 2)  # no face, a face
        self.dense6_2 = nn.Linear(256, 4)  # how to move the box, which is not used
        self.dense6_3 = nn.Linear(256, 10)  # five x, then five y

    @checked(gaps=("images",), shapes={"images": "N 3 64 64"})
    def forward(self, images: Tensor, shift: tuple[int, int] = (0, 0)) -> FaceReadings:
        """The readings of `images` `(N, 3, 64, 64)` in [0, 1].

        `shift` moves the box by rows and columns, to test how much its place matters.

        Raises:
            ValueError: another shape, precision or device, or where the box would leave the picture.
        """
        box = self.box(images, shift)
        probability, landmarks = self.landmarks(_enlarged(box))
        left, right, nose = landmarks[:, 0], landmarks[:, 1], landmarks[:, 2]
        unit = (right - left).norm(dim=1)
        turned = (nose - (left + right) / 2) / unit[:, None]
        mouth = (landmarks[:, 4] - landmarks[:, 3]).norm(dim=1) / unit
        sides = torch.cat([images[..., :_BORDER], images[..., -_BORDER:]], 3)
        background = sides.mean((1, 2, 3))
        colour = box.mean((2, 3))
        light = colour @ torch.tensor(_LUMINANCE).to(colour)
        red, green, blue = colour.unbind(1)
        hue = torch.atan2(3**0.5 / 2 * (green - blue), red - (green + blue) / 2)
        return FaceReadings(turned[:, 0], turned[:, 1], mouth, background, probability, landmarks, light, hue)

    @checked(gaps=("images",), shapes={"images": "N 3 64 64"})
    def crop(self, images: Tensor, shift: tuple[int, int] = (0, 0)) -> Tensor:
        """What the network gets of `images`: the box, enlarged to `(N, 3, 48, 48)`, in [0, 1]; raises as `forward`."""
        return _enlarged(self.box(images, shift))

    @checked(gaps=("images",), shapes={"images": "N 3 64 64"})
    def box(self, images: Tensor, shift: tuple[int, int] = (0, 0)) -> Tensor:
        """The part of `images` where the face is, `(N, 3, 46, 46)`; raises as `forward`."""
        check_place("reader", images, self.conv1.weight)
        spans = [[end + by for end in ends] for ends, by in zip((_ROWS, _COLUMNS), shift, strict=True)]
        if any(start < 0 or stop > _SIDE for start, stop in spans):
            rows, columns = ((-start, _SIDE - stop) for start, stop in (_ROWS, _COLUMNS))
            raise ValueError(
                f"shift: expected rows in [{rows[0]}, {rows[1]}] and columns in [{columns[0]}, {columns[1]}], got "
                f"{tuple(shift)}"
            )
        (top, bottom), (left, right) = spans
        return images[..., top:bottom, left:right]

    @checked(gaps=("crops",), shapes={"crops": "N 3 48 48"})
    def landmarks(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Probability `(N,)` of a face, and landmarks `(N, 5, 2)`, of `crops` `(N, 3, 48, 48)` in [0, 1]."""
        check_place("reader", crops, self.conv1.weight, "crops")
        x = (crops * 255 - 127.5) / 128
        x = functional.max_pool2d(self.prelu1(self.conv1(x)), 3, 2, ceil_mode=True)
        x = functional.max_pool2d(self.prelu2(self.conv2(x)), 3, 2, ceil_mode=True)
        x = functional.max_pool2d(self.prelu3(self.conv3(x)), 2, 2, ceil_mode=True)
        x = self.prelu4(self.conv4(x))
        # Columns before rows: the order of the framework in which it was trained.
        x = self.prelu5(self.dense5(x.permute(0, 3, 2, 1).flatten(1)))
        return self.dense6_1(x).softmax(1)[:, 1], self.dense6_3(x).unflatten(1, (2, 5)).transpose(1, 2)


def _enlarged(box: Tensor) -> Tensor:
    return functional.interpolate(box, size=(_CROP, _CROP), mode="bilinear", antialias=True)


@checked()
def load_face_reader(device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32) -> FaceReader:
    """The trained reader `face-landmarks`, in eval mode, its parameters without gradient.

    Raises:
        FileNotFoundError: its weights are not in the cache; the message says how to get them.

    Example:
        >>> G = geomlib.load_generator("dcgan-portraits")  # doctest: +SKIP
        >>> load_face_reader()(G(G.sample(3, seed=0))).yaw  # doctest: +SKIP
    """
    return trained(FaceReader(), packaged_state("face-landmarks"), device, dtype)
