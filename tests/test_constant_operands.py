"""Forward mode with constants: the numbers of PyTorch's own rules, in every form in which an operation is called."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from geomlib.constant_operands import ConstantOperands

Function = Callable[[Tensor], Tensor]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def normalised(**options: bool) -> nn.BatchNorm2d:
    layer = nn.BatchNorm2d(4, dtype=torch.float64, **options)  # type: ignore[arg-type]
    layer.running_mean = random(4, seed=1)
    layer.running_var = random(4, seed=2).square() + 0.1
    for index, parameter in enumerate(layer.parameters()):
        parameter.data = random(4, seed=3 + index)
    return layer.eval().requires_grad_(False)


kernel, filters, bias, maps = random(6, 4, 3, 3, seed=5), random(3, 5, 2), random(6, seed=6), random(4, 5, 5, seed=7)
CASES: dict[str, Function] = {
    "convolution": lambda x: functional.conv2d(x, kernel, bias, padding=1),
    "convolution, all by position": lambda x: functional.conv2d(x, kernel, bias, 2, 1, 1, 1),
    "convolution, all by name": lambda x: functional.conv2d(input=x, weight=kernel, bias=bias),
    "convolution without bias": lambda x: functional.conv2d(x, kernel),
    "groups": lambda x: functional.conv2d(x, kernel[:4, :1], groups=4),
    "transposed": lambda x: functional.conv_transpose2d(x, kernel.transpose(0, 1), bias, stride=2),
    "sound": lambda x: functional.conv1d(x[0], filters, bias[:3]),
    "transposed sound": lambda x: functional.conv_transpose1d(x[0], filters.transpose(0, 1), bias[:3], 2),
    "weights that move": lambda x: functional.conv2d(x, kernel * x.sum(), bias * x.mean()),
    "bias that moves": lambda x: functional.conv2d(x, kernel, bias * x.mean()),
    "constant maps, weights that move": lambda x: functional.conv2d(maps[None], kernel * x.sum()),
    "product": lambda x: x * maps,
    "product from the left": lambda x: maps * x,
    "product that broadcasts": lambda x: maps[:, :1, None] * x.mean(1, keepdim=True),
    "product with a number": lambda x: 3 * x * 2.0,
    "square": lambda x: x * x,
    "product with another dtype": lambda x: x * maps.float(),
    "torch.mul": lambda x: torch.mul(x, other=maps).mul(maps),
    "batch norm": normalised(),
    "batch norm without weights": normalised(affine=False),
    "batch norm of the batch": lambda x: functional.batch_norm(x, None, None, training=True),
    "batch norm by name": lambda x: functional.batch_norm(
        x, torch.zeros(4).double(), running_var=torch.ones(4).double(), bias=bias[:4] * x.mean()
    ),
    "in place behind": lambda x: functional.conv2d(x, kernel, bias).relu_().mul_(2),
}


@pytest.mark.parametrize("name", CASES)
def test_the_derivative_is_the_same(name: str) -> None:
    function = CASES[name]
    x, directions = random(1, 4, 5, 5, seed=8), random(3, 1, 4, 5, 5, seed=9)

    def column(v: Tensor) -> tuple[Tensor, Tensor]:
        value, derivative = torch.func.jvp(function, (x,), (v,))
        return value, derivative

    expected = [column(v) for v in directions]
    with ConstantOperands():
        values, derivatives = torch.func.vmap(column)(directions)
    for index, (value, derivative) in enumerate(expected):
        assert torch.allclose(values[index], value, rtol=1e-13, atol=1e-13)
        assert torch.allclose(derivatives[index], derivative, rtol=1e-12, atol=1e-12)


def test_outside_of_forward_mode_nothing_changes() -> None:
    x = random(1, 4, 5, 5, seed=8).requires_grad_()
    for name, function in CASES.items():
        with ConstantOperands():
            inside = function(x)
        assert torch.equal(inside, function(x)), name
        assert inside.requires_grad


def test_the_second_derivative_is_the_same() -> None:
    x, v = random(1, 4, 5, 5, seed=8), random(1, 4, 5, 5, seed=9)

    def twice(x: Tensor) -> Tensor:
        def once(x: Tensor) -> Tensor:
            maps = functional.conv2d(x, kernel, bias).tanh() * 2.0
            return normalised(affine=False)(maps[:, :4] * torch.ones(4, 1, 1).double())

        derivative: Tensor = torch.func.jvp(once, (x,), (v,))[1]
        return derivative

    expected = torch.func.jvp(twice, (x,), (v,))[1]
    with ConstantOperands():
        found = torch.func.jvp(twice, (x,), (v,))[1]
    assert torch.allclose(found, expected, rtol=1e-12)
