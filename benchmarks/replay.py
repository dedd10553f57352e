"""Another engine for derivatives: a program that `torch.fx` traces once and that is replayed for tiles of directions.

`torch.func.jvp` of a function, traced with the latent and the direction as inputs, is a program of tensor operations.
At a latent all that does not depend on the direction is computed once, in float64, so that each kink falls on its true
side; what is left is linear in the direction, runs in the dtype of the network and is replayed under `vmap`.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, Node
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.node import map_aggregate

from geomlib.derivatives.tape import in_precision
from geomlib.derivatives.tiling import Footprint

aten = torch.ops.aten
Function = Callable[[Tensor], Tensor]


class Program:
    """The derivative of `function` along a direction, for every latent like `example`.

    Raises `RuntimeError` for what cannot be traced: an operation that draws random numbers, one without a rule, or a
    branch on a number.
    """

    def __init__(self, function: Function, example: Tensor) -> None:
        def derivative(z: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
            return torch.func.jvp(function, (z,), (v,))

        z, self.dtype = example.detach(), example.dtype
        traced = make_fx(torch.func.functionalize(derivative))(z, torch.zeros_like(z))
        graph = traced.graph
        for node in graph.nodes:
            if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()):
                raise RuntimeError(f"{node.target} draws random numbers and cannot be replayed")
        _simplify(graph)
        self.point, self.direction = (node for node in graph.nodes if node.op == "placeholder")
        (self.value, self.tangent) = next(node for node in graph.nodes if node.op == "output").args[0]
        self.moving, at_latent = {self.direction}, {self.point}
        constant: list[Node] = []
        fixed: list[Node] = []
        linear: list[Node] = []
        for node in graph.nodes:
            if node.op in ("placeholder", "output"):
                continue
            if not self.moving.isdisjoint(node.all_input_nodes):
                self.moving.add(node)
                linear.append(node)
            elif not at_latent.isdisjoint(node.all_input_nodes):
                at_latent.add(node)
                fixed.append(node)
            else:
                constant.append(node)
        self.linear = _needed(linear, {self.tangent})
        self.kept = _inputs(self.linear) - self.moving
        if self.tangent not in self.moving:
            self.kept.add(self.tangent)
        self.fixed = _needed(fixed, self.kept | {self.value})
        self.fixed_ends, self.linear_ends = _last_uses(self.fixed), _last_uses(self.linear)
        used = (_inputs(self.fixed) | self.kept | {self.value}) - at_latent - self.moving
        values: dict[Node, Any] = {}
        with torch.no_grad():
            for node in _needed(constant, used):
                values[node] = getattr(traced, node.target) if node.op == "get_attr" else _run(node, values)
        self.constants = {node: values[node] for node in used}

    def at(self, point: Tensor) -> "Linear":
        """The linear map at `point` `(n,)`: what does not depend on the direction, computed."""
        exact = point.dtype if point.device.type == "mps" else torch.float64
        values: dict[Node, Any] = {**self.constants, self.point: point.to(exact)}
        sizes: list[int] = []
        with torch.no_grad():
            for node in self.fixed:
                values[node] = _run(node, values, exact)
                if isinstance(values[node], Tensor) and not getattr(node.target, "is_view", False):
                    sizes.append(values[node].nbytes * point.dtype.itemsize // exact.itemsize)
                for ended in self.fixed_ends[node]:
                    if ended in self.kept:
                        values[ended] = _rounded(values[ended], self.dtype)
                    elif ended is not self.value:
                        del values[ended]
        shape = values[self.value].shape
        constants = {node: _rounded(values[node], self.dtype) for node in self.kept}
        output = shape.numel() * point.dtype.itemsize
        return Linear(self, constants, shape, Footprint(max([*sizes, output]), max(sum(sizes), output), output))


class Linear:
    """`J v` of directions `v` at one latent."""

    def __init__(self, program: Program, constants: dict[Node, Any], shape: torch.Size, footprint: Footprint) -> None:
        self.program, self.constants, self.shape, self.footprint = program, constants, shape, footprint

    def __call__(self, rows: Tensor) -> Tensor:
        """`J v` of each row `v` `(k, n)`, `(k, *shape)`; differentiable."""
        if self.program.tangent not in self.program.moving:
            return rows.new_zeros(len(rows), *self.shape)
        products: Tensor = torch.func.vmap(self._replay)(rows)
        return products

    def _replay(self, direction: Tensor) -> Tensor:
        program, values = self.program, {**self.constants, self.program.direction: direction}
        for node in program.linear:
            values[node] = _run(node, values, program.dtype)
            for ended in program.linear_ends[node]:
                if ended is not program.tangent:
                    del values[ended]
        result: Tensor = values[program.tangent]
        return result


def linearise(function: Function, point: Tensor) -> Linear:
    """The derivative of `function` at `point`, traced for this latent alone."""
    return Program(function, point).at(point)


def _inputs(nodes: list[Node]) -> set[Node]:
    return {used for node in nodes for used in node.all_input_nodes}


def _last_uses(nodes: list[Node]) -> dict[Node, list[Node]]:
    """What no node asks for after each of them."""
    last = {used: node for node in nodes for used in (node, *node.all_input_nodes)}
    ends: dict[Node, list[Node]] = {node: [] for node in nodes}
    for used, node in last.items():
        ends[node].append(used)
    return ends


def _needed(nodes: list[Node], wanted: set[Node]) -> list[Node]:
    kept = []
    for node in reversed(nodes):
        if node in wanted:
            kept.append(node)
            wanted = wanted.union(node.all_input_nodes)
    return kept[::-1]


def _run(node: Node, values: dict[Node, Any], dtype: torch.dtype | None = None) -> Any:
    """What an operation gives, with all numbers in the precision of `dtype`, or as they are."""

    def value(x: Any) -> Any:
        x = values[x] if isinstance(x, Node) else x
        return x if dtype is None else _rounded(x, dtype)

    return node.target(*map_aggregate(node.args, value), **map_aggregate(node.kwargs, value))  # type: ignore[operator, arg-type]


def _rounded(x: Any, dtype: torch.dtype) -> Any:
    return tuple(in_precision(part, dtype) for part in x) if isinstance(x, tuple | list) else in_precision(x, dtype)


def _kind(node: Node) -> tuple[torch.dtype, torch.Size]:
    x = node.meta["tensor_meta"]
    return x.dtype, x.shape


def _simplify(graph: Graph) -> None:
    """Leave out what changes nothing, and multiply consecutive elementwise factors with each other."""
    direction = [node for node in graph.nodes if node.op == "placeholder"][1]
    moving = {direction}
    factored: dict[Node, tuple[Node, Any]] = {}  # what a node is: another one, times a factor
    for node in list(graph.nodes):
        if node.op != "call_function":
            continue
        kind = getattr(node.target, "overloadpacket", None)
        x = node.args[1] if kind == aten.copy else node.args[0] if node.args else None
        if kind == aten.view:  # directions may lie in memory in another order
            node.target = aten.reshape.default
        if kind in _UNCHANGED and x in moving and isinstance(x, Node) and _is_real(node) and _is_real(x):
            if kind == aten.copy and _kind(x)[1] != _kind(node)[1]:
                with graph.inserting_before(node):
                    x = graph.call_function(aten.expand.default, (x, list(_kind(node)[1])))
                x.meta.update(node.meta)
                moving.add(x)
            if _kind(x)[1] == _kind(node)[1]:
                node.replace_all_uses_with(x)
                graph.erase_node(node)
                continue
        if moving.isdisjoint(node.all_input_nodes):
            continue
        moving.add(node)
        with graph.inserting_before(node):
            pair = _factor(graph, node, kind, moving)
            if pair is None:
                continue
            base, factor = pair
            before = factored.get(base)
            if before is not None:
                base, factor = before[0], _times(graph, before[1], factor)
            product = graph.call_function(aten.mul.Tensor, (base, factor))
        product.meta.update(node.meta)
        moving.add(product)
        factored[product] = base, factor
        node.replace_all_uses_with(product)
        graph.erase_node(node)
    graph.eliminate_dead_code()


def _times(graph: Graph, left: Any, right: Any) -> Any:
    if not isinstance(left, Node):
        left, right = right, left
    return graph.call_function(aten.mul.Tensor, (left, right)) if isinstance(left, Node) else left * right


_UNCHANGED = {aten.copy, aten._to_copy, aten.alias, aten.detach, aten.expand, aten.view, aten.slice, aten.clone}


def _is_real(node: Node) -> bool:
    return (
        "tensor_meta" in node.meta and hasattr(node.meta["tensor_meta"], "dtype") and _kind(node)[0].is_floating_point
    )


def _factor(graph: Graph, node: Node, kind: Any, moving: set[Node]) -> tuple[Node, Any] | None:
    """The moving operand and its factor, for an elementwise product with something that does not move."""
    if not _is_real(node) or not all(_is_real(x) for x in node.all_input_nodes if x in moving):
        return None
    args = node.args
    if kind == aten.mul and len(args) == 2:
        base, factor = args if args[0] in moving else args[::-1]
        return (base, factor) if factor not in moving else None  # type: ignore[return-value]
    if kind == aten.neg:
        return args[0], -1.0  # type: ignore[return-value]
    if kind == aten.div and len(args) == 2 and not node.kwargs and args[0] in moving and args[1] not in moving:
        one = 1 / args[1] if not isinstance(args[1], Node) else graph.call_function(aten.reciprocal.default, (args[1],))
        return args[0], one  # type: ignore[return-value]
    if kind == aten.threshold_backward and args[1] not in moving:
        return args[0], graph.call_function(aten.gt.Scalar, (args[1], args[2]))  # type: ignore[return-value]
    return None
