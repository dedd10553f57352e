"""The metric tensor as an operator, by one of three methods that give the same matrix."""

from typing import Any

from torch import Tensor

from geomlib._checks import check_choice
from geomlib._state import isolated
from geomlib.distances import Distance
from geomlib.generators.interface import Generator
from geomlib.operators.hessian import FiniteDifferenceOperator, HessianOperator
from geomlib.operators.pullback import PullbackOperator

METHODS: dict[str, type[PullbackOperator] | type[HessianOperator]] = {
    "pullback": PullbackOperator,
    "backward": HessianOperator,
    "forward": FiniteDifferenceOperator,
}


@isolated(shapes={"z": "n"})
def metric_operator(
    generator: Generator, z: Tensor, distance: Distance, method: str = "pullback", **limits: Any
) -> PullbackOperator | HessianOperator:
    """The metric tensor at one latent as an operator: products `H v` without the matrix.

    Args:
        generator: of `n` latents.
        z: the latent `(n,)`.
        distance: a squared distance of images.
        method: `pullback`, `backward` or `forward`, as in `metric_tensor`: a `PullbackOperator`, `HessianOperator` or
            `FiniteDifferenceOperator`.
        limits: `tile` columns at a time, by default from the size of the activations; `memory`, such as "4GB", caps
            tile and stored columns; `precision="tf32"` lets a GPU round factors to 10 bits, which moves the matrix by
            about 1e-3.  (With a generator and a distance of `dtype=torch.bfloat16` the weights themselves are rounded:
            it moves the metric of `shapes-dcgan` by 5 to 27 % at three latents.)

    Returns:
        An operator of shape `(n, n)`.

    Raises:
        ValueError: for a wrong argument, or what the method cannot do.
        TypeError: for a latent that is no floating-point tensor.
        FloatingPointError: for a latent that is not finite.

    Examples:
        On the unit sphere a step north of length `dθ` is `dθ` long, and a step east `sin θ dφ`:

        >>> import geomlib, torch
        >>> sphere, z = geomlib.load_generator("sphere"), torch.tensor([torch.pi / 6, 0.0])
        >>> H = geomlib.metric_operator(sphere, z, geomlib.load_distance("mse"))
        >>> H.shape
        (2, 2)
        >>> east = H.matvec(torch.tensor([0.0, 1.0])) * 3 / 2  # mse is the mean over three coordinates, and H = 2 JᵀJ
        >>> print([round(number, 4) for number in east.tolist()])
        [0.0, 0.25]
    """
    check_choice("method", method, METHODS)
    return METHODS[method](generator, z, distance, **limits)
