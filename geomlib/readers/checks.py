"""How far a reader of faces can be trusted, by pictures whose readings are known from others."""

from dataclasses import dataclass

import torch
from torch import Tensor

from geomlib._arguments import checked
from geomlib.readers.face import FaceReader

FACE = 0.7  # probability from which the landmarks count
LANDMARKS = ("yaw", "pitch", "mouth")
_MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))


@dataclass(frozen=True)
class ReaderChecks:
    """Result of `check_face_reader`.

    Attributes:
        faces: share of the pictures whose probability of a face is above 0.7; the others count no further.
        mirrored: by reading, correlation with that of the mirrored picture: −1 for yaw and 1 for pitch and mouth if
            the reader follows the picture.
        shifted: by reading, the lowest correlation with that of a box moved by one pixel, of four moves: 1 if the
            place of the box does not matter.
    """

    faces: float
    mirrored: dict[str, float]
    shifted: dict[str, float]


@checked(shapes={"images": "N 3 64 64"})
@torch.no_grad()
def check_face_reader(reader: FaceReader, images: Tensor) -> ReaderChecks:
    """Read `images` `(N, 3, 64, 64)`, their mirror images, and boxes that are moved by one pixel.

    Raises:
        ValueError: another shape, or fewer than three faces among the pictures.
    """
    plain, mirror = reader(images), reader(images.flip(3))
    moved = [reader(images, move) for move in _MOVES]
    known = torch.stack([one.probability for one in (plain, mirror, *moved)]).amin(0) > FACE
    if int(known.sum()) < 3:
        raise ValueError(f"images: expected at least three faces, got {int(known.sum())} of {len(images)} pictures")

    def correlation(name: str, one: object, other: object) -> float:
        both = torch.stack([getattr(one, name), getattr(other, name)])[:, known].double()
        return float(torch.corrcoef(both)[0, 1])

    return ReaderChecks(
        float((plain.probability > FACE).double().mean()),
        {name: correlation(name, plain, mirror) for name in LANDMARKS},
        {name: min(correlation(name, plain, one) for one in moved) for name in LANDMARKS},
    )
