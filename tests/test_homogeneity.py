"""Consistency of metrics against hand-computed cases, and the behaviour of the two null models."""

import numpy as np
import pytest
import torch

from geomlib import homogeneity
from geomlib.metric import Metric


def metrics(frames: torch.Tensor, spectra: torch.Tensor, floor: float = 0.0) -> Metric:
    return Metric.from_matrix(frames * spectra[:, None, :] @ frames.mT, torch.full((len(spectra),), floor))


def random_frames(count: int, n: int, seed: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(count, n, n, generator=random, dtype=torch.float64)).Q


def test_against_a_plain_loop() -> None:
    P, n = 4, 6
    M = metrics(
        random_frames(P, n, 0), torch.rand(P, n, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    )
    result = homogeneity.consistency(M)
    for i in range(P):
        for j in range(P):
            if i == j:
                assert torch.isnan(result.linear[i, j])
                assert torch.isnan(result.log[i, j])
                continue
            V, H = M.eigenvectors[i].numpy(), M.matrix[j].numpy()
            values = np.array([V[:, k] @ H @ V[:, k] for k in range(n)])
            target = M.eigenvalues[j].numpy()
            assert float(result.linear[i, j]) == pytest.approx(np.corrcoef(values, target)[0, 1])
            assert float(result.log[i, j]) == pytest.approx(np.corrcoef(np.log10(values), np.log10(target))[0, 1])


def test_the_same_frame_everywhere_is_perfectly_homogeneous() -> None:
    frame = random_frames(1, 5, 3).expand(3, 5, 5)
    spectra = torch.logspace(0, -4, 5, dtype=torch.float64) * torch.tensor([[1.0], [2.0], [5.0]])
    result = homogeneity.consistency(metrics(frame, spectra))
    for matrix in (result.linear, result.log):
        assert torch.allclose(homogeneity.off_diagonal(matrix), torch.ones(6, dtype=torch.float64))


def test_by_hand_in_two_dimensions_with_exchanged_axes() -> None:
    exchange = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
    M = metrics(
        torch.stack([torch.eye(2, dtype=torch.float64), exchange]), torch.tensor([[4.0, 1.0], [9.0, 1.0]]).double()
    )
    assert homogeneity.transfer(M)[0, 1].tolist() == [1.0, 9.0]
    assert float(homogeneity.consistency(M).linear[0, 1]) == pytest.approx(-1)


def test_log_leaves_out_and_counts_what_lies_below_the_floor() -> None:
    frame = torch.eye(4, dtype=torch.float64).expand(2, 4, 4)
    spectra = torch.tensor([[8.0, 4.0, 2.0, 1e-9], [4.0, 2.0, 1.0, 1e-9]], dtype=torch.float64)
    result = homogeneity.consistency(metrics(frame, spectra, floor=1e-6))
    assert result.left_out.tolist() == [[1, 1], [1, 1]]
    assert float(result.log[0, 1]) == pytest.approx(1)


def test_null_models() -> None:
    frame = random_frames(1, 40, 5).expand(6, 40, 40)
    M = metrics(frame, torch.logspace(0, -6, 40, dtype=torch.float64).expand(6, 40))
    null = homogeneity.rotated(M, seed=0)
    assert torch.allclose(null.eigenvalues, M.eigenvalues, atol=1e-12)
    assert homogeneity.off_diagonal(homogeneity.consistency(M).linear).mean() > 0.99
    for result in (homogeneity.consistency(null), homogeneity.consistency(M, shuffle_seed=0)):
        for matrix in (result.linear, result.log):
            assert abs(homogeneity.off_diagonal(matrix).mean()) < 0.15
    again = homogeneity.rotated(M, seed=0)
    assert torch.equal(again.matrix, null.matrix)


def test_rotated_frames_are_uniform() -> None:
    """Each squared entry of a uniform frame has mean 1 / n, and a signed entry mean 0."""
    M = metrics(
        torch.eye(3, dtype=torch.float64).expand(4000, 3, 3), torch.tensor([3.0, 2.0, 1.0]).double().expand(4000, 3)
    )
    frames = homogeneity.rotated(M, seed=1).matrix
    assert torch.allclose(frames.mean(0), 2 * torch.eye(3, dtype=torch.float64), atol=0.06)


def test_two_positions_are_needed() -> None:
    with pytest.raises(ValueError, match="at least two positions"):
        homogeneity.consistency(metrics(random_frames(1, 3, 0), torch.ones(1, 3).double()))
