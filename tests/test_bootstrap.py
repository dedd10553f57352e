"""Bootstrap intervals against scipy's, against a plain loop, and where they are known."""

import numpy as np
import pytest
import scipy.stats
import torch

from geomlib.homogeneity import bootstrap_interval


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_a_mean_against_scipy_and_the_normal_approximation() -> None:
    values = normal(80)
    low, high = bootstrap_interval(torch.mean, values, seed=0, count=4000, level=0.9)
    expected = scipy.stats.bootstrap(
        (values.numpy(),), np.mean, n_resamples=4000, confidence_level=0.9, method="percentile", rng=1
    ).confidence_interval
    error = float(values.std(correction=0)) / 80**0.5
    assert float(low) == pytest.approx(expected.low, abs=0.1 * error)
    assert float(high) == pytest.approx(expected.high, abs=0.1 * error)
    assert float(high - low) == pytest.approx(2 * 1.645 * error, rel=0.1)


def test_a_statistic_of_several_numbers() -> None:
    values = normal(30, 4)
    low, high = bootstrap_interval(lambda rows: rows.mean(0), values, seed=0, count=200)
    single = bootstrap_interval(lambda rows: rows[:, 2].mean(), values, seed=0, count=200)
    assert low.shape == high.shape == (4,)
    assert (low < values.mean(0)).all() and (values.mean(0) < high).all()
    assert (low[2], high[2]) == single
    assert not torch.equal(low, bootstrap_interval(lambda rows: rows.mean(0), values, seed=1, count=200)[0])


def test_pairs_against_a_plain_loop() -> None:
    positions = normal(12)
    matrix = positions[:, None] + positions + 0.1 * normal(12, 12)
    matrix.fill_diagonal_(torch.nan)
    low, high = bootstrap_interval(torch.mean, matrix, seed=0, count=3000, pairs=True)
    random, table, draws = np.random.default_rng(0), matrix.numpy(), []
    for _ in range(3000):
        chosen = random.integers(12, size=12)
        draws.append(np.mean([table[i, j] for i in chosen for j in chosen if i != j]))
    expected = np.quantile(draws, [0.025, 0.975])
    width = expected[1] - expected[0]
    assert [float(low), float(high)] == pytest.approx(list(expected), abs=0.05 * width)
    # Taken for independent, the 132 entries would give an interval that is far too narrow.
    entries = matrix[~torch.eye(12, dtype=torch.bool)]
    naive = bootstrap_interval(torch.mean, entries, seed=0, count=500)
    assert float(naive[1] - naive[0]) < 0.6 * width


@pytest.mark.parametrize("size", [2, 3, 12, 40])
@pytest.mark.parametrize("pairs", [False, True])
def test_means_at_once_are_those_one_by_one(size: int, pairs: bool) -> None:
    values = normal(size, size) if pairs else normal(size)
    many, one = (
        bootstrap_interval(statistic, values, seed=0, count=300, pairs=pairs)
        for statistic in (torch.mean, lambda drawn: drawn.mean())
    )
    torch.testing.assert_close(many, one, rtol=1e-12, atol=1e-14)
    values[..., -1] = torch.nan
    assert all(end.isnan() for end in bootstrap_interval(torch.mean, values, seed=0, pairs=pairs))


def test_two_positions_have_one_pair_of_pairs() -> None:
    matrix = torch.tensor([[torch.nan, 1.0], [3.0, torch.nan]])
    low, high = bootstrap_interval(torch.mean, matrix, seed=0, count=50, pairs=True)
    assert low == high == 2


def test_equal_values_have_no_width() -> None:
    low, high = bootstrap_interval(torch.median, torch.full((5,), 3.0), seed=0, count=20)
    assert low == high == 3


@pytest.mark.parametrize(
    ("values", "settings", "message"),
    [
        (torch.ones(1), {}, "values: expected at least two positions"),
        (torch.tensor(1.0), {}, "values: expected at least two positions"),
        (torch.ones(3, 4), {"pairs": True}, r"values: expected a matrix of pairs \(P, P\), got shape \(3, 4\)"),
        (torch.ones(3), {"level": 95.0}, r"level: expected a number in \(0, 1\), got 95"),
        (torch.ones(3), {"count": 0}, "count: expected a positive integer, got 0"),
    ],
)
def test_impossible_arguments(values: torch.Tensor, settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(torch.mean, values, seed=0, **settings)  # type: ignore[arg-type]
