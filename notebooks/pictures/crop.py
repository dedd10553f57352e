"""The pictures of this folder, cut from files that two packages ship.

    python notebooks/pictures/crop.py grace_hopper.jpg astronaut.png chelsea.png

grace_hopper.jpg comes with matplotlib (mpl-data/sample_data), the others with scikit-image (skimage/data). The boxes
(left, upper, right, lower, in pixels) put heads where the generators of the book have theirs.
"""

import sys
from pathlib import Path

from PIL import Image

BOXES = {
    "grace_hopper": (95, 20, 445, 370),
    "astronaut": (130, 5, 320, 195),
    "chelsea": (100, 0, 380, 280),
}
SIDE = 128

for name in sys.argv[1:]:
    path = Path(name)
    with Image.open(path) as picture:
        cut = (
            picture.convert("RGB")
            .crop(BOXES[path.stem])
            .resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        )
    cut.save(Path(__file__).with_name(f"{path.stem}.png"), optimize=True)
