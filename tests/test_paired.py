"""Paired tests against their formulas, and where nothing differs."""

import itertools

import pytest
import torch

from geomlib.findings import paired_test


def test_paired_differences_by_hand() -> None:
    """Student's t by its formula; Wilcoxon's p by counting all signs of the ranks."""
    values, others = torch.tensor([3.0, 5.0, 4.0, 9.0, 1.0]), torch.tensor([2.0, 3.0, 7.0, 5.0, 1.5])
    gaps = (values - others).double()
    found = paired_test(values, others, seed=0)
    assert found.difference.value == pytest.approx(0.7)
    assert found.difference.low < 0.7 < found.difference.high
    assert found.t == pytest.approx(float(gaps.mean() / gaps.std() * 5**0.5))
    ranks = gaps.abs().argsort().argsort() + 1
    sums = [
        sum(r for r, up in zip(range(1, 6), signs, strict=True) if up) for signs in itertools.product((0, 1), repeat=5)
    ]
    above = float(ranks[gaps > 0].sum())
    extreme = [one for one in sums if abs(one - 7.5) >= abs(above - 7.5)]
    assert found.p_ranks == pytest.approx(len(extreme) / len(sums))
    turned = paired_test(others, values, seed=0)
    assert (turned.t, turned.p) == pytest.approx((-found.t, found.p))
    logs = paired_test(values.log(), others.log(), seed=0)
    assert logs.ratio.value == pytest.approx(float((values.prod() / others.prod()) ** 0.2), rel=1e-6)
    assert logs.ratio.low < logs.ratio.value < logs.ratio.high


def test_equal_units_do_not_differ_and_unequal_numbers_are_refused() -> None:
    equal = paired_test(torch.ones(4), torch.ones(4), seed=0)
    assert (equal.difference.value, equal.t, equal.p, equal.p_ranks) == (0, 0, 1, 1)
    with pytest.raises(ValueError, match=r"others: expected shape \(4,\), as of values, got \(3,\)"):
        paired_test(torch.ones(4), torch.ones(3), seed=0)
