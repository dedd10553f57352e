"""Train `shapes-dcgan` without being told: no reward, and a critic that looks at pixels and has seen no factor.

    python training/shapes_dcgan_pixels.py --out build/shapes-dcgan-pixels-1 --seed 1

`shapes-dcgan-rewarded` was rewarded for samples that a network names with confidence, and its critic looks through
a network that reads the factors; that its axes carry factors is in part by construction.  These are its honest
siblings.  Three seeds, 1, 2 and 3, one after another.  The rule, written before any of them was finished: one passes
whose share of confident samples is at least 0.7 and whose Fréchet distance to rendered shapes, in the features of
efficientnet-lite0, is at most 1.5 times that of the rewarded network; of those that pass, the one of the lowest
distance becomes `shapes-dcgan`.  `rule_of_shapes_dcgan.py` measures it.  All three passed, and seed 3 has the name.

A run that was stopped goes on from its last state when it is started again.
"""

from dataclasses import replace

from shapes_dcgan_rewarded import RECIPE
from shapes_gan import main

if __name__ == "__main__":
    recipe = replace(RECIPE, name="shapes-dcgan-pixels-{seed}", steps=20_000, rates=(3e-4, 3e-4), notes={})
    main(replace(recipe, sees_factors=False), __doc__)
