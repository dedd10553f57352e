"""First derivatives of a function at one point, by the first of three routes that its operations allow.

A *JVP*, forward-mode automatic differentiation, costs about one forward pass a column: recorded once and replayed
(`linearise`), or, where that cannot be, anew for each tile under `vmap`.  An operation without a rule for it leaves the
*double VJP*, exact as well: `Jᵀu` is linear in `u`, so its derivative along `u` is `J`.  Where an operation cannot be
differentiated twice either, central *differences* remain.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from geomlib.derivatives.tiling import Footprint, footprint, is_out_of_memory

if TYPE_CHECKING:
    from geomlib.derivatives.tape import Tape

logger = logging.getLogger(__name__)

ROUTES = ("JVP", "double VJP", "differences")
# Relative rounding of one product in each arithmetic; "full" is that of the network's dtype.
PRECISIONS = {"full": 0.0, "tf32": 2.0**-10}


@contextmanager
def arithmetic(precision: str) -> Iterator[None]:
    """Attention with derivatives of every order, and TF32 on a GPU only if asked for; what was set before is restored.

    PyTorch allows TF32 in convolutions by default.
    """
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, convolutions.allow_tf32
    products.allow_tf32 = convolutions.allow_tf32 = precision == "tf32"
    try:
        with sdpa_kernel([SDPBackend.MATH]):
            yield
    finally:
        products.allow_tf32, convolutions.allow_tf32 = before


def difference_step(dtype: torch.dtype) -> float:
    """Relative step of central differences: small, for the kinks of a network, but not lost in rounding.

    Raises `ValueError` for a precision in which no step is both.
    """
    if torch.finfo(dtype).bits < 32:
        kind = str(dtype).removeprefix("torch.")
        raise ValueError(
            f"method: differences are lost in the rounding of {kind}; use method='pullback' or 'backward', or float32"
        )
    return 1e-6 if dtype == torch.float64 else 1e-4


def vjp_rows(output: Tensor, point: Tensor, rows: Tensor) -> Tensor:
    """`Jᵀu` for each row `u` `(k, m)`, `(k, n)`, in one batch where the operations allow it; the graph is kept."""
    if not output.requires_grad:
        return rows.new_zeros(len(rows), *point.shape)

    def product(weights: Tensor, batched: bool) -> Tensor:
        return torch.autograd.grad(
            output, point, weights, retain_graph=True, is_grads_batched=batched, materialize_grads=True
        )[0]

    if len(rows) > 1:
        try:
            return product(rows, True)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            logger.debug("row by row: %s", error)
    return torch.stack([product(row, False) for row in rows])


def check_twice_differentiable(gradient: Tensor) -> None:
    """Raise `NotImplementedError` for a gradient with a part that is marked as differentiable once.

    `torch.autograd.grad` leaves out such a part of a second derivative and says nothing.
    """
    seen, left = set(), [gradient.grad_fn]
    while left:
        node = left.pop()
        if node is None or node in seen:
            continue
        if node.name() == "torch::autograd::Error":
            raise NotImplementedError("an operation cannot be differentiated twice; use method='pullback' or 'forward'")
        seen.add(node)
        left += [following for following, _ in node.next_functions]


def _check_adjoint(v: Tensor, pulled: Tensor, pushed: Tensor, u: Tensor) -> None:
    """`uᵀ(Jv) = (Jᵀu)ᵀv`: where autograd cannot differentiate a derivative it may leave it out without a word."""
    left, right = (u * pushed).sum(), (pulled * v).sum()
    size = u.norm() * pushed.norm() + pulled.norm() * v.norm()
    if not abs(left - right).item() <= 8 * torch.finfo(v.dtype).eps ** 0.5 * size.item():
        raise NotImplementedError("an operation cannot be differentiated twice")


@cache
def _recorder() -> Any:
    """`linearise`; None, with one warning, where PyTorch has no longer a private name that it stands on."""
    try:
        from geomlib.derivatives.linearise import linearise
    except (AttributeError, ImportError) as error:
        warning = "derivatives cannot be recorded with this version of PyTorch, which costs time, no accuracy: %s"
        logging.getLogger(__package__).warning(warning, error)
        return None
    return linearise


def _recorded(function: Callable[[Tensor], Tensor], z: Tensor) -> "Tape | None":
    """The derivative of `function` at `z` as a tape; None where it cannot be recorded."""
    linearise = _recorder()
    if linearise is None:
        return None
    try:
        with arithmetic("full"):
            tape: Tape = linearise(function, z)
            return tape
    except Exception as error:  # whatever it is: a JVP under `vmap` tells in its own words what is wrong
        if isinstance(error, RuntimeError) and is_out_of_memory(error):
            raise
        logger.debug("not recorded: %s", error)
        return None


class Linearisation:
    """`J = ∂f/∂z`, `(m, n)`, of `function` at `z` `(n,)`, as products with one tile of rows.

    `route` is one of `ROUTES`, and `tape` what was recorded, None where nothing was.  Both change where an operation
    turns out not to allow them.
    """

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        z: Tensor,
        precision: str = "full",
        *,
        route: str = ROUTES[0],
        record: bool = True,
    ) -> None:
        """Start with `route`; `record` is whether to try to record."""
        self.function, self.z, self.precision, self.route = function, z, precision, route
        self.tape = _recorded(function, z) if record and route == ROUTES[0] else None

    def at(self, z: Tensor) -> "Linearisation":
        """The same at another `z`, by the route that serves here."""
        return Linearisation(self.function, z, self.precision, route=self.route, record=self.tape is not None)

    @cached_property
    def footprint(self) -> Footprint:
        """Bytes of one sample on its way through the function."""
        return self.tape.footprint if self.tape else footprint(self.function, self.z)

    def jvp(self, rows: Tensor) -> Tensor:
        """`J v` for each row `v` `(k, n)`: `(k, m)` in the dtype of `z`."""
        products = dict(zip(ROUTES, (self._jvp, self._double_vjp, self._differences), strict=True))
        while True:
            route = self.route
            try:
                with arithmetic(self.precision):
                    return products[route](rows)
            except RuntimeError as error:
                if is_out_of_memory(error) or route == ROUTES[-1]:
                    raise
                self.route = ROUTES[ROUTES.index(route) + 1]
                reason = str(error).splitlines()[0]
                logger.warning("%s is not possible here, going on with %s: %s", route, self.route, reason)

    def congruence(self, rows: Tensor, inner: Callable[[Tensor], Tensor]) -> Tensor:
        """`Jᵀ A J v` for each row `v` `(k, n)`, `(k, n)`, with `A u` of rows `u` from `inner`."""
        if self.tape:
            with self._replayed(), arithmetic(self.precision):
                return self._recorded_congruence(self.tape, rows, inner)
        moves = inner(self.jvp(rows))
        point, output = self._graph
        with arithmetic(self.precision):
            return vjp_rows(output, point, moves)

    def _recorded_congruence(self, tape: "Tape", rows: Tensor, inner: Callable[[Tensor], Tensor]) -> Tensor:
        with torch.enable_grad():
            point = rows.clone().requires_grad_()
            moves = tape(point)
        if not moves.requires_grad:
            return torch.zeros_like(rows)
        pushed = inner(moves.detach())
        pulled = torch.autograd.grad(moves, point, pushed)[0]
        _check_adjoint(rows, pulled, moves.detach(), pushed)
        return pulled

    @cached_property
    def _graph(self) -> tuple[Tensor, Tensor]:
        point = self.z.clone().requires_grad_()
        with torch.enable_grad(), arithmetic(self.precision):
            return point, self.function(point)

    @contextmanager
    def _replayed(self) -> Iterator[None]:
        """Give up the tape where it cannot be replayed."""
        try:
            yield
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            logger.debug("not replayed: %s", error)
            self.tape = None

    @torch.no_grad()
    def _jvp(self, rows: Tensor) -> Tensor:
        if self.tape:
            with self._replayed():
                return self.tape(rows)

        columns: Tensor = torch.func.vmap(lambda v: torch.func.jvp(self.function, (self.z,), (v,))[1])(rows)
        return columns

    @cached_property
    def _transposed(self) -> tuple[Tensor, Tensor]:
        """A cotangent `u` (zero: its value does not matter) and `Jᵀu`, with the graph between them."""
        point, output = self._graph
        if not output.requires_grad:
            return torch.zeros_like(output), torch.zeros_like(point)
        cotangent = torch.zeros_like(output).requires_grad_()
        with torch.enable_grad():
            pulled = torch.autograd.grad(output, point, cotangent, create_graph=True, materialize_grads=True)[0]
        random = torch.Generator().manual_seed(0)
        u, v = (torch.randn(x.shape, generator=random, dtype=torch.float64).to(x) for x in (output, point))
        _check_adjoint(v, vjp_rows(output, point, u[None])[0], vjp_rows(pulled, cotangent, v[None])[0], u)
        return cotangent, pulled

    def _double_vjp(self, rows: Tensor) -> Tensor:
        cotangent, pulled = self._transposed
        return vjp_rows(pulled, cotangent, rows)

    @torch.no_grad()
    def _differences(self, rows: Tensor) -> Tensor:
        size = difference_step(self.z.dtype) * (float(self.z.norm()) or 1.0)
        lengths = rows.norm(dim=1, keepdim=True)
        steps = size * rows / lengths.where(lengths > 0, 1.0)
        moves = torch.stack([self.function(self.z + step) - self.function(self.z - step) for step in steps])
        columns: Tensor = moves * (lengths / (2 * size))
        return columns
