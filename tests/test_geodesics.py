"""Shortest paths, the exponential map, transport and curvature, on surfaces where they are known in closed form."""

import math

import pytest
import torch
from torch import Tensor

import geomlib
from geomlib.applications import geodesics
from geomlib.applications import riemannian as bending
from geomlib.distances import Distance
from geomlib.generators import analytic
from geomlib.paths import metric_length

MSE = geomlib.load_distance("mse")  # a mean over three outputs: lengths are those in space over √3
SHRINK = 3**-0.5
RADIUS = 1.7


def double(generator: geomlib.Generator) -> geomlib.Generator:
    return generator.to("cpu", torch.float64)


def vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


SPHERE, TORUS = double(analytic.sphere(RADIUS)), double(analytic.torus())
NORMALISED, LINEAR = double(analytic.normalised()), double(analytic.linear(decades=1.0))
A, B = vector(0.8, -0.7), vector(1.3, 1.1)


def smooth(seed: int = 0, n: int = 3, m: int = 7) -> geomlib.Generator:
    """A small network without kinks."""
    random = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(shape, generator=random, dtype=torch.float64) for shape in ((n, 6), (6, m)))
    return double(geomlib.Generator(lambda z: torch.tanh(z @ first.to(z) / 2) @ second.to(z), n, output_range=None))


def latitude(polar: float, points: int) -> Tensor:
    """A closed circle of latitude, as polar angles and longitudes."""
    longitude = torch.linspace(0, 2 * math.pi, points, dtype=torch.float64)
    return torch.stack([torch.full_like(longitude, polar), longitude], 1)


def angle_between(a: Tensor, b: Tensor) -> float:
    x, y = SPHERE(torch.stack([a, b])) / RADIUS
    return math.acos(float(x @ y))


# curves


def test_a_short_step_has_the_length_of_its_velocity() -> None:
    v = vector(0.3, -1.2)
    step = geodesics.length(TORUS, torch.stack([A, A + 1e-5 * v]), MSE) / 1e-5
    assert float(step) == pytest.approx(float(metric_length(TORUS, A, v, MSE)) / math.sqrt(2), rel=1e-4)
    pair = TORUS(torch.stack([A, A + 1e-5 * v]))
    assert float(MSE(pair[:1], pair[1:])) == pytest.approx(float((step * 1e-5) ** 2), rel=1e-9)


def test_length_of_a_circle_of_latitude() -> None:
    exact = 2 * math.pi * RADIUS * math.sin(0.9) * SHRINK
    assert float(geodesics.length(SPHERE, latitude(0.9, 400), MSE)) == pytest.approx(exact, rel=2e-5)


def test_length_does_not_depend_on_speed_or_coordinates() -> None:
    t = torch.linspace(0, 1, 2001, dtype=torch.float64)
    usual, hurried = (torch.lerp(A, B, part[:, None]) for part in (t, t**3))
    exact = float(geodesics.length(TORUS, usual, MSE))
    assert float(geodesics.length(TORUS, hurried, MSE)) == pytest.approx(exact, rel=1e-5)
    # the same torus in other coordinates, z = sinh(w)
    bent = geomlib.Generator(lambda w: TORUS(w.sinh()), 2, output_range=None).to("cpu", torch.float64)
    assert float(geodesics.length(bent, usual.asinh(), MSE)) == pytest.approx(exact, rel=1e-12)


def test_energy_is_at_least_the_squared_length() -> None:
    curve = geodesics.straight(A, B, 12)
    length, energy = (float(f(TORUS, curve, MSE)) for f in (geodesics.length, geodesics.energy))
    assert energy > length**2 * 1.0001
    even = geodesics.at_constant_speed(TORUS, curve, MSE, 12)
    length, energy = (float(f(TORUS, even, MSE)) for f in (geodesics.length, geodesics.energy))
    assert length**2 <= energy <= length**2 * 1.00001


def test_energy_is_differentiable() -> None:
    curve = geodesics.straight(A, B, 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: geodesics.energy(TORUS, z, MSE), curve)
    assert torch.autograd.gradcheck(lambda z: geodesics.length(TORUS, z, MSE), curve)


def test_a_distance_known_by_its_values_alone() -> None:
    by_value = Distance("by value", value=lambda x, y: (x - y).square().mean(1))
    curve = geodesics.straight(A, B, 70)
    assert float(geodesics.length(TORUS, curve, by_value)) == pytest.approx(float(geodesics.length(TORUS, curve, MSE)))
    found = geodesics.geodesic(SPHERE, A, B, by_value, points=8)
    assert found.length == pytest.approx(geodesics.geodesic(SPHERE, A, B, MSE, points=8).length, rel=1e-6)


def test_constant_speed_keeps_ends_and_place() -> None:
    curve = geodesics.straight(A, B, 9)
    even = geodesics.at_constant_speed(TORUS, curve, MSE, 30)
    assert torch.allclose(even[[0, -1]], curve[[0, -1]])
    steps = geodesics.step_lengths(TORUS, even, MSE)
    assert float(steps.std() / steps.mean()) < 1e-3
    off = (even - A) - ((even - A) @ (B - A))[:, None] / (B - A).square().sum() * (B - A)
    assert float(off.abs().max()) < 1e-12, "left the line"


def test_great_circle_turns_at_constant_rate() -> None:
    a, b = vector(3.0, 0.0, 4.0, 1.0), vector(0.0, 2.0, -1.0, 0.5)
    circle = geodesics.great_circle(a, b, 11)
    units = circle / circle.norm(dim=1, keepdim=True)
    cosines = (units[1:] * units[:-1]).sum(1)
    whole = math.acos(float(units[0] @ units[-1]))
    assert torch.allclose(cosines.arccos(), torch.full((10,), whole / 10).double())
    assert torch.allclose(circle.norm(dim=1), torch.linspace(float(a.norm()), float(b.norm()), 11).double())
    assert torch.equal(circle[0], a)
    assert torch.equal(circle[-1], b)
    quarter = geodesics.great_circle(vector(2.0, 0.0), vector(0.0, 2.0), 3)[1]
    assert torch.allclose(quarter, 2 * vector(0.5, 0.5).sqrt())
    assert torch.allclose(geodesics.great_circle(a, 3 * a, 5), geodesics.straight(a, 3 * a, 5))


def test_resampled_stays_on_the_broken_line() -> None:
    corner = torch.stack([vector(0, 0), vector(1, 0), vector(1, 2)])
    expected = torch.stack([vector(0, 0), vector(0.5, 0), vector(1, 0), vector(1, 1), vector(1, 2)])
    assert torch.allclose(geodesics.resampled(corner, 5), expected)


# shortest paths


def test_great_circles_of_the_sphere() -> None:
    found = geodesics.geodesic(SPHERE, A, B, MSE, points=64, iterations=200, tol=1e-10)
    exact = RADIUS * SHRINK * angle_between(A, B)
    assert found.converged
    assert found.length == pytest.approx(exact, rel=1e-4)
    # chords of equal steps are known exactly, and the plane of the circle too
    assert found.length == pytest.approx(63 * 2 * RADIUS * SHRINK * math.sin(angle_between(A, B) / 126), rel=1e-7)
    points = SPHERE(found.curve)
    normal = torch.linalg.cross(points[0], points[-1])
    assert float((points @ normal / normal.norm()).abs().max()) < 1e-3
    assert found.length < float(geodesics.length(SPHERE, geodesics.straight(A, B, 64), MSE))
    assert torch.equal(found.curve[[0, -1]], torch.stack([A, B]))


def test_energy_never_rises_and_speed_becomes_constant() -> None:
    found = geodesics.geodesic(TORUS, A, B, MSE, points=20, iterations=100, tol=1e-9)
    energies = vector(*found.energies)
    assert (energies.diff() < 0).all()
    assert float(energies[-1]) == pytest.approx(float(geodesics.energy(TORUS, found.curve, MSE)))
    assert float(energies[-1]) == pytest.approx(found.length**2, rel=1e-6)
    assert found.calls >= len(energies)


def test_clairaut() -> None:
    """On a surface of revolution the distance to the axis times the cosine of the angle with parallels is constant."""
    curve = geodesics.geodesic(TORUS, A, B, MSE, points=64, iterations=300, tol=1e-11).curve
    middle, step = (curve[1:] + curve[:-1]) / 2, curve.diff(dim=0)
    reach = 2.0 + 0.8 * middle[:, 0].cos()
    speed = (0.64 * step[:, 0].square() + (reach * step[:, 1]).square()).sqrt()
    clairaut = reach**2 * step[:, 1] / speed
    assert float(clairaut.std() / clairaut.mean()) < 1e-3


def test_geodesics_of_a_linear_map_are_straight() -> None:
    a, b = LINEAR.sample(2, seed=0)
    found = geodesics.geodesic(LINEAR, a, b, MSE, points=8)
    assert found.converged
    assert torch.allclose(found.curve, geodesics.straight(a, b, 8))
    x, y = LINEAR(torch.stack([a, b]))
    assert found.length == pytest.approx(float(MSE(x[None], y[None])[0].sqrt()))


def test_what_is_known_of_the_metric_does_not_change_the_path() -> None:
    """All eigenpairs, one of them, or those of another place: the minimum is the same."""
    expected = geodesics.geodesic(SPHERE, A, B, MSE, points=12, iterations=200, tol=1e-12)
    metric = geomlib.metric_tensor(SPHERE, vector(1.5, 0.0), MSE)
    top = geomlib.top_eigenpairs(SPHERE, vector(1.0, 0.0), MSE, k=1)
    for known in (metric, top):
        found = geodesics.geodesic(SPHERE, A, B, MSE, points=12, iterations=200, tol=1e-12, metric=known)
        assert torch.allclose(found.curve, expected.curve, atol=1e-4)


def test_another_search_finds_the_same_path() -> None:
    """`scipy`'s minimiser, from the straight line, of the energy written out."""
    from scipy.optimize import minimize

    generator = smooth()
    a, b = generator.sample(2, seed=3).double()
    inside = geodesics.straight(a, b, 10)[1:-1]

    def energy(flat: object) -> float:
        points = generator(torch.cat([a[None], torch.as_tensor(flat).reshape(-1, 3), b[None]]))
        return 9 * sum(float((points[i + 1] - points[i]).square().mean()) for i in range(9))

    expected = minimize(energy, inside.flatten().numpy(), method="BFGS").fun
    found = geodesics.geodesic(generator, a, b, MSE, points=10, iterations=300, tol=1e-9)
    assert found.energies[-1] == pytest.approx(expected, rel=1e-5)


def test_a_step_to_where_nothing_is_finite_is_taken_back() -> None:
    expected = geodesics.geodesic(TORUS, A, B, MSE, points=20, iterations=100, tol=1e-9)
    edge, beyond = float(expected.curve[:, 0].max()) + 1e-3, []

    def torn(z: Tensor) -> Tensor:
        beyond.append(bool((z[:, 0] > edge).any()))
        return torch.where(z[:, :1] > edge, torch.nan, TORUS(z))

    generator = double(geomlib.Generator(torn, 2, output_range=None))
    found = geodesics.geodesic(generator, A, B, MSE, points=20, iterations=100, tol=1e-9, damping=1e-3)
    assert any(beyond) and found.converged
    assert found.energies[-1] == pytest.approx(expected.energies[-1], rel=1e-7)


def test_search_on_a_network() -> None:
    """With kinks and in float32 the energy still never rises, and the same seed gives the same path."""
    generator, distance = geomlib.load_generator("shapes-dcgan"), geomlib.load_distance("mse")
    a, b = generator.sample(2, seed=0)
    told: list[tuple[int, int]] = []
    one, two = (
        geodesics.geodesic(
            generator, a, b, distance, points=6, iterations=5, progress=lambda *now: told.append(now)
        )
        for _ in range(2)
    )  # fmt: skip
    assert torch.equal(one.curve, two.curve)
    assert len(one.energies) == 6
    assert (torch.tensor(one.energies).diff() < 0).all()
    assert told[:5] == [(index, 5) for index in range(1, 6)]
    assert one.curve.dtype == torch.float64


# straightest paths


def test_exponential_map_of_the_sphere() -> None:
    v = vector(0.9, 1.4)
    form = SPHERE.first_fundamental_form(A) if isinstance(SPHERE, analytic.AnalyticGenerator) else torch.eye(2)
    turn = float((v @ form @ v).sqrt()) / RADIUS
    position = SPHERE(A[None])[0] / RADIUS
    velocity = torch.func.jvp(lambda z: SPHERE(z[None])[0], (A,), (v,))[1]
    expected = RADIUS * (math.cos(turn) * position + math.sin(turn) * velocity / velocity.norm())
    errors = []
    for points in (41, 81):
        shot = bending.exponential_map(SPHERE, A, v, MSE, points=points, tol=1e-10)
        assert torch.allclose(shot.speeds, torch.full_like(shot.speeds, RADIUS * SHRINK * turn), rtol=1e-3)
        assert float(shot.residuals.max()) < 1e-9
        errors.append(float((SPHERE(shot.curve[-1:])[0] - expected).norm()))
    assert errors[1] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.15), "second order in the step"


def test_exponential_map_retraces_a_geodesic() -> None:
    """A shortest path, shot from its start with the same number of steps, arrives at its end."""
    generator = smooth(1)
    a, b = generator.sample(2, seed=5).double() / 2
    path = geodesics.geodesic(generator, a, b, MSE, points=24, iterations=500, tol=1e-13)
    first, second = path.curve[:2]
    jacobian = torch.func.jacrev(lambda z: generator(z[None])[0])(first)
    # the velocity whose move is, in the tangent plane, that of the first step
    chord = generator(second[None])[0] - generator(first[None])[0]
    v = 23 * torch.linalg.lstsq(jacobian, chord).solution
    shot = bending.exponential_map(generator, first, v, MSE, points=24, damping=1e-4, tol=1e-10)
    assert float((shot.curve[-1] - b).norm() / (b - a).norm()) < 1e-3


def test_exponential_map_is_straight_where_space_is_flat() -> None:
    z, v = LINEAR.sample(2, seed=1)
    shot = bending.exponential_map(LINEAR, z, v, MSE, points=5)
    assert torch.allclose(shot.curve, geodesics.straight(z, z + v, 5), atol=1e-6)


def test_exponential_map_beside_a_null_direction() -> None:
    """The radial direction of `z / ‖z‖` has no metric: the way turns without going in or out."""
    z, v = vector(2.0, 0.0, 0.0), vector(0.0, 1.0, 0.0)
    shot = bending.exponential_map(NORMALISED, z, v, MSE, points=60, tol=1e-10)
    reached = NORMALISED(shot.curve[-1:])[0]
    assert torch.allclose(reached, vector(math.cos(0.5), math.sin(0.5), 0.0), atol=1e-4)


# transport


def test_transport_along_a_latitude_turns_by_the_holonomy() -> None:
    polar, circle = 0.9, latitude(0.9, 300)
    frame = torch.diag(vector(1.0, 1 / math.sin(polar)))  # orthonormal, up to a factor
    end = bending.parallel_transport(SPHERE, circle, frame, MSE)[-1] @ torch.diag(vector(1.0, math.sin(polar)))
    turned = math.atan2(float(end[0, 1]), float(end[0, 0]))
    expected = -2 * math.pi * math.cos(polar)
    assert math.remainder(turned - expected, 2 * math.pi) == pytest.approx(0, abs=2e-4)
    assert torch.allclose(end @ end.T, torch.eye(2).double(), atol=1e-10)


def test_transport_around_a_triangle_turns_by_its_area() -> None:
    """The angle by which a vector comes home is the area over the squared radius: the excess of the angles."""
    corners = [vector(0.6, 0.0), vector(1.4, 0.1), vector(1.1, 1.0)]
    sides = []
    for a, b in zip(corners, [*corners[1:], corners[0]], strict=True):
        x, y = SPHERE(torch.stack([a, b])) / RADIUS
        arc = geodesics.great_circle(x, y, 150)  # in space, and back to polar angle and longitude
        sides.append(torch.stack([arc[:, 2].arccos(), torch.atan2(arc[:, 1], arc[:, 0])], 1)[:-1])
    loop = torch.cat([*sides, corners[0][None]])
    scale = vector(1.0, math.sin(0.6))
    end = bending.parallel_transport(SPHERE, loop, vector(1.0, 0.0), MSE)[-1] * scale
    x, y, z = (SPHERE(torch.stack(corners)) / RADIUS).unbind(0)
    excess = 2 * math.atan2(
        abs(float(torch.dot(x, torch.linalg.cross(y, z)))), 1 + float(x @ y + y @ z + z @ x)
    )  # fmt: skip
    assert abs(math.atan2(float(end[1]), float(end[0]))) == pytest.approx(excess, abs=1e-4)


def test_transport_keeps_inner_products_and_velocities() -> None:
    generator = smooth(2)
    a, b = generator.sample(2, seed=1).double()
    path = geodesics.geodesic(generator, a, b, MSE, points=40, iterations=500, tol=1e-12).curve
    vectors = torch.cat([generator.sample(2, seed=2).double(), (path[1] - path[0])[None]])
    carried = bending.parallel_transport(generator, path, vectors, MSE)
    products = [v @ geomlib.metric_tensor(generator, z, MSE).matrix @ v.T for z, v in zip(path, carried, strict=True)]
    assert carried.shape == (40, 3, 3)
    assert torch.allclose(torch.stack(products), products[0].expand(40, 3, 3), rtol=1e-7)
    # a geodesic carries its own velocity along
    velocity = path[-1] - path[-2]
    assert torch.nn.functional.cosine_similarity(carried[-1, 2], velocity, dim=0) > 0.999
    single = bending.parallel_transport(generator, path, vectors[0], MSE)
    assert torch.allclose(single, carried[:, 0])


def test_transport_of_a_linear_map_changes_nothing() -> None:
    z, w, v = LINEAR.sample(3, seed=1)
    carried = bending.parallel_transport(LINEAR, geodesics.straight(z, w, 4), v, MSE)
    assert torch.allclose(carried, v.expand(4, -1))


def test_transport_drops_what_has_no_metric() -> None:
    curve = geodesics.great_circle(vector(1.0, 0.0, 0.0), vector(0.0, 1.0, 0.0), 30)
    carried = bending.parallel_transport(NORMALISED, curve, vector(5.0, 0.0, 1.0), MSE)
    assert torch.allclose(carried, vector(0.0, 0.0, 1.0).expand(30, -1), atol=1e-9)


# lengths, volume and curvature


def test_vectors_of_one_length() -> None:
    metric, vectors = geomlib.metric_tensor(TORUS, A, MSE), torch.stack([vector(0.3, -1.2), vector(5.0, 0.1)])
    sized = bending.with_length(metric, vectors, 0.2)
    assert torch.nn.functional.cosine_similarity(sized, vectors) == pytest.approx(1)
    for v in sized:
        assert float(metric_length(TORUS, A, v, MSE)) / math.sqrt(2) == pytest.approx(0.2)
    assert torch.allclose(bending.with_length(metric, vectors[0], 0.2), sized[0])
    null = geomlib.metric_tensor(NORMALISED, vector(0.0, 2.0, 0.0), MSE)
    with pytest.raises(ValueError, match="vectors: expected directions that change the image"):
        bending.with_length(null, vector(0.0, 1.0, 0.0), 1.0)


def test_volume_element() -> None:
    z = TORUS.sample(4, seed=0)
    found = bending.volume_element(geomlib.metric_tensor(TORUS, z, MSE))
    exact = 0.8 * (2 + 0.8 * z[:, 0].cos()) / 3
    assert torch.allclose(found.value, exact.log())
    assert found.left_out.tolist() == [0] * 4
    flat = bending.volume_element(geomlib.metric_tensor(NORMALISED, vector(0.0, 2.0, 0.0), MSE))
    assert float(flat.value) == pytest.approx(math.log(1 / 4 / 3))
    assert int(flat.left_out) == 1


@pytest.mark.parametrize("step", [0.0, 1e-3])
def test_curvature_of_surfaces(step: float) -> None:
    """Gauss curvature in the units of mse, whose lengths are `1 / √3`: three times that in space."""
    u, v = vector(1.0, 0.2), vector(-0.5, 3.0)
    sphere = bending.curvature(SPHERE, A, u, v, MSE, step=step)
    assert float(sphere) == pytest.approx(3 / RADIUS**2, rel=1e-4)
    for tube in (0.0, 1.0, math.pi / 2, 2.5, math.pi):
        z, cosine = vector(tube, 0.4), math.cos(tube)
        found = bending.curvature(TORUS, z, u, v, MSE, step=step)
        assert float(found) == pytest.approx(3 * cosine / (0.8 * (2 + 0.8 * cosine)), rel=1e-4, abs=1e-4)


def test_curvature_against_the_intrinsic_formula() -> None:
    """From the metric alone: Christoffel symbols, differentiated by autograd (the Riemann tensor)."""
    generator = smooth(4)
    z, u, v = generator.sample(3, seed=7).double()

    def metric(x: Tensor) -> Tensor:
        jacobian = torch.func.jacfwd(lambda y: generator(y[None])[0])(x)
        form: Tensor = jacobian.T @ jacobian / jacobian.shape[0]
        return form

    def christoffel(x: Tensor) -> Tensor:
        slopes = torch.func.jacfwd(metric)(x)  # [i, j, k] = ∂_k g_ij
        first = (slopes.permute(0, 2, 1) + slopes - slopes.permute(2, 0, 1)) / 2
        symbols: Tensor = torch.linalg.solve(metric(x), first.flatten(1)).reshape(first.shape)
        return symbols

    gamma, slopes, g = christoffel(z), torch.func.jacfwd(christoffel)(z), metric(z)
    # R^l_kij = ∂_i Γ^l_jk − ∂_j Γ^l_ik + Γ^l_im Γ^m_jk − Γ^l_jm Γ^m_ik
    riemann = (
        torch.einsum("ljki->lkij", slopes) - torch.einsum("likj->lkij", slopes)
        + torch.einsum("lim,mjk->lkij", gamma, gamma) - torch.einsum("ljm,mik->lkij", gamma, gamma)
    )  # fmt: skip
    numerator = torch.einsum("al,lkij,a,k,i,j->", g, riemann, u, v, u, v)
    expected = numerator / ((u @ g @ u) * (v @ g @ v) - (u @ g @ v) ** 2)
    assert float(bending.curvature(generator, z, u, v, MSE)) == pytest.approx(float(expected), rel=1e-8)


def test_curvature_of_several_planes_and_of_none() -> None:
    generator = smooth(5)
    z, *rows = generator.sample(5, seed=1).double()
    u, v = torch.stack(rows[:2]), torch.stack(rows[2:])
    both = bending.curvature(generator, z, u, v, MSE)
    assert both.shape == (2,)
    assert float(both[1]) == pytest.approx(float(bending.curvature(generator, z, u[1], v[1], MSE)))
    swapped = bending.curvature(generator, z, 3 * v + u, u - v, MSE)
    assert torch.allclose(swapped, both), "a matter of the plane, not of its basis"
    z, u, v = LINEAR.sample(3, seed=0)
    assert abs(float(bending.curvature(LINEAR, z, u, v, MSE))) < 1e-12


def test_kinks_bend_only_over_a_length() -> None:
    """A ReLU network is flat at almost every point, and still bent over a length that has a kink."""
    random = torch.Generator().manual_seed(1)
    first, second = (torch.randn(shape, generator=random, dtype=torch.float64) for shape in ((2, 30), (30, 8)))
    generator = double(geomlib.Generator(lambda z: (z @ first.to(z)).relu() @ second.to(z), 2, output_range=None))
    z, u, v = generator.sample(3, seed=0).double()
    assert abs(float(bending.curvature(generator, z, u, v, MSE))) < 1e-10
    assert abs(float(bending.curvature(generator, z, u, v, MSE, step=1.0))) > 1e-5


def test_errors() -> None:
    by_value = Distance("by value", value=lambda x, y: (x - y).square().mean(1))
    curve = geodesics.straight(A, B, 3)
    for call in (
        lambda: bending.exponential_map(SPHERE, A, B, by_value),
        lambda: bending.parallel_transport(SPHERE, curve, A, by_value),
        lambda: bending.curvature(SPHERE, A, A, B, by_value),
        lambda: geodesics.features(SPHERE, curve, by_value),
    ):
        with pytest.raises(ValueError, match="expected one with features, got by value"):
            call()
    with pytest.raises(ValueError, match="curve: expected at least two latents, got 1"):
        geodesics.length(SPHERE, curve[:1], MSE)
    with pytest.raises(ValueError, match=r"curve: expected shape \(S, 2\)"):
        geodesics.length(SPHERE, torch.zeros(4, 3), MSE)
    with pytest.raises(ValueError, match="points: expected at least two"):
        geodesics.straight(A, B, 1)
    with pytest.raises(ValueError, match="not zero"):
        geodesics.great_circle(A, 0 * A, 4)
    with pytest.raises(ValueError, match="not opposite"):
        geodesics.great_circle(A, -2 * A, 4)
    with pytest.raises(ValueError, match="got equal ones"):
        geodesics.geodesic(SPHERE, A, A, MSE)
    with pytest.raises(ValueError, match="points, iterations, damping"):
        geodesics.geodesic(SPHERE, A, B, MSE, damping=0.0)
    several = geomlib.metric_tensor(SPHERE, curve, MSE)
    with pytest.raises(ValueError, match="metric: expected that of one latent or an average"):
        geodesics.geodesic(SPHERE, A, B, MSE, metric=several)
    other = geomlib.Metric.from_matrix(torch.eye(5).double(), torch.tensor(0.0).double())
    with pytest.raises(ValueError, match=r"metric: expected .* with eigenvectors \(2, k\), got \(5, 5\)"):
        geodesics.geodesic(SPHERE, A, B, MSE, metric=other)
    with pytest.raises(ValueError, match="of length zero"):
        geodesics.at_constant_speed(SPHERE, torch.stack([A, A]), MSE, 4)
    with pytest.raises(ValueError, match="two points or more"):
        geodesics.resampled(curve, 1)
    with pytest.raises(ValueError, match="v: expected a direction that changes the image"):
        bending.exponential_map(SPHERE, A, 0 * A, MSE)
    with pytest.raises(ValueError, match="points, iterations, damping"):
        bending.exponential_map(SPHERE, A, B, MSE, points=1)
    with pytest.raises(ValueError, match="change the image differently"):
        bending.curvature(SPHERE, A, B, 2 * B, MSE)
    with pytest.raises(ValueError, match="u, v, step"):
        bending.curvature(SPHERE, A, A, B, MSE, step=-1.0)
    with pytest.raises(FloatingPointError, match="the image after 1 of 3 steps is not finite"):
        edge = double(geomlib.Generator(lambda z: torch.cat([z, (0.5 - z).log()], 1), 1, output_range=None))
        bending.exponential_map(edge, vector(0.5 - 1e-12), vector(1.0), MSE, points=4, iterations=1)
    broken = double(geomlib.Generator(lambda z: z / (z[:, :1] - z[:, :1]), 2, output_range=None))
    with pytest.raises(FloatingPointError, match="energy of the start"):
        geodesics.geodesic(broken, A, B, MSE)


def test_curves_on_a_surface() -> None:
    from geomlib import figures

    grid = SPHERE(torch.cartesian_prod(torch.linspace(0.1, 3, 9), torch.linspace(-3, 3, 12))).reshape(9, 12, 3)
    figure = figures.on_surface(grid, {"one": grid[2], "another": grid[:, 3]})
    (drawn,) = figure.axes[0].collections
    figure.canvas.draw()
    faces = torch.as_tensor(drawn.get_facecolor())[:, :3]
    assert len(faces) == 8 * 11 + 11 + 8
    coloured = faces[faces.amax(1) - faces.amin(1) > 0.1]
    assert len(coloured) == 11 + 8, "the surface is grey"
    assert len(coloured.unique(dim=0)) == 2
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "another"]
