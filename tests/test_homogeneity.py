"""Consistency of metrics against hand-computed cases, and the behaviour of the two null models."""

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geomlib import homogeneity
from geomlib.metric import Metric


def metrics(frames: torch.Tensor, spectra: torch.Tensor, floor: float = 0.0) -> Metric:
    return Metric.from_matrix(frames * spectra[:, None, :] @ frames.mT, torch.full((len(spectra),), floor))


def random_frames(count: int, n: int, seed: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    frames: torch.Tensor = torch.linalg.qr(torch.randn(count, n, n, generator=random, dtype=torch.float64)).Q
    return frames


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


def decaying(P: int, n: int, decades: float = 3.0) -> Metric:
    spectra = (
        torch.logspace(0, -decades, n, dtype=torch.float64) * torch.linspace(1, 2, P, dtype=torch.float64)[:, None]
    )
    near = torch.linalg.qr(random_frames(1, n, 7) + 0.1 * random_frames(P, n, 8)).Q
    return metrics(near, spectra)


def test_streaming_gives_the_same_in_any_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    M = decaying(5, 7)
    whole, seen = homogeneity.consistency(M, shuffle_seed=2), []
    monkeypatch.setattr(homogeneity, "_TILE", 2 * 7 * 7)
    parts = homogeneity.consistency(M, shuffle_seed=2, progress=lambda done, total: seen.append((done, total)))
    for name in ("linear", "log", "left_out", "entries"):
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name), equal_nan=True)
    assert seen == [(done, 5) for done in range(1, 6)]


def test_shuffled_ranks_against_all_at_once() -> None:
    M = decaying(4, 9)
    lines = torch.einsum("iak,jab,ibk->ijk", M.eigenvectors, M.matrix, M.eigenvectors)
    order = torch.rand(4, 4, 9, generator=torch.Generator().manual_seed(3)).argsort(-1)
    result = homogeneity.consistency(M, shuffle_seed=3)
    for i, j in ((0, 1), (2, 0), (3, 1)):
        expected = np.corrcoef(lines[i, j][order[i, j]], M.eigenvalues[j])[0, 1]
        assert float(result.linear[i, j]) == pytest.approx(expected)
    torch.testing.assert_close(result.entries, homogeneity.consistency(M).entries, equal_nan=True)


@pytest.mark.parametrize("k", [2, 5, 8])
def test_top_eigenpairs_against_the_full_metrics(k: int) -> None:
    P, n = 3, 8
    M = decaying(P, n)
    top = M.eigenvalues[:, :k], M.eigenvectors[:, :, :k]
    full, truncated = homogeneity.transfer(M)[..., :k], homogeneity.transfer(top)
    missing = full - truncated
    after = M.eigenvalues[:, k] if k < n else torch.zeros(P, dtype=torch.float64)
    assert (missing > -1e-12).all() and (missing <= after[None, :, None] + 1e-12).all()
    if k < n:
        assert missing.max() > 1e-4 * after.max(), "the truncation leaves something out"
    result = homogeneity.consistency(top)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        assert float(result.linear[i, j]) == pytest.approx(np.corrcoef(truncated[i, j], top[0][j])[0, 1])
        kept = [top[1][p] * top[0][p] @ top[1][p].T for p in (i, j)]
        expected = np.corrcoef(kept[0].flatten(), kept[1].flatten())[0, 1]
        assert float(result.entries[i, j]) == pytest.approx(expected)
    single = homogeneity.consistency((top[0].float(), top[1].float()))
    torch.testing.assert_close(single.linear, result.linear, atol=1e-5, rtol=0, equal_nan=True)


def test_a_floor_can_be_given_with_eigenpairs() -> None:
    values = torch.tensor([[8.0, 4.0, 2.0, 1e-9], [4.0, 2.0, 1.0, 1e-9]])
    vectors = torch.eye(6)[:, :4].expand(2, 6, 4)
    assert homogeneity.consistency((values, vectors)).left_out.tolist() == [[0, 0], [0, 0]]
    result = homogeneity.consistency((values, vectors), noise_floor=torch.tensor([1e-6, 1.5]))
    assert result.left_out.tolist() == [[1, 2], [1, 2]]


def test_correlation_of_entries() -> None:
    M = decaying(4, 6)
    result = homogeneity.consistency(M).entries
    expected = np.corrcoef(M.matrix.flatten(1).numpy())
    assert torch.isnan(result.diagonal()).all()
    np.testing.assert_allclose(homogeneity.off_diagonal(result), expected[~np.eye(4, dtype=bool)], rtol=1e-10)


def test_agreement_is_a_line_through_the_ranks_in_use() -> None:
    values = torch.logspace(0, -3, 6, dtype=torch.float64).expand(2, 6)
    strengths = 5 * values**1.5
    strengths[:, -1] = 7.0
    use = torch.ones(2, 6, dtype=torch.bool)
    use[0, -1], use[1, 1:] = False, False
    result = homogeneity.agreement(values, strengths, use)
    assert [float(part[0]) for part in result[1:]] == pytest.approx([1, 1.5, np.log10(5)])
    assert all(part[1].isnan() for part in result[1:]), "one rank has no line"
    expected = np.corrcoef(values[0], strengths[0])[0, 1]
    assert result.linear.tolist() == pytest.approx([expected, expected])
    line = scipy.stats.linregress(values[0].log10(), strengths[0].log10())
    whole = [float(part[0]) for part in homogeneity.agreement(values, strengths)[1:]]
    assert whole == pytest.approx([line.rvalue, line.slope, line.intercept])


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 8), st.data())
def test_overlap_against_principal_angles(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, n))
    U, V = (homogeneity.random_frame(n, k, data.draw(st.integers(0, 99))) for _ in range(2))
    angles = scipy.linalg.subspace_angles(U.numpy(), V.numpy())
    overlap = homogeneity.subspace_overlap(U, V)
    assert float(overlap) == pytest.approx(float(np.mean(np.cos(angles) ** 2)), abs=1e-9)
    turn = homogeneity.random_frame(k, k, 5)
    torch.testing.assert_close(homogeneity.subspace_overlap(V, U @ turn), overlap)


def test_overlap_by_hand() -> None:
    axes = torch.eye(4, dtype=torch.float64)
    assert float(homogeneity.subspace_overlap(axes[:, :2], axes[:, 1:3])) == 0.5
    assert float(homogeneity.subspace_overlap(axes[:, :2], axes[:, 2:])) == 0
    frames = torch.stack([axes[:, :2], axes[:, 2:]])
    assert homogeneity.subspace_overlap(frames, axes[:, :2]).tolist() == [1, 0]
    leaning = torch.tensor([[np.cos(0.3)], [np.sin(0.3)], [0], [0]])
    assert float(homogeneity.subspace_overlap(axes[:, :1], leaning)) == pytest.approx(np.cos(0.3) ** 2)


def test_the_null_of_one_dimension_is_a_beta_distribution() -> None:
    null = homogeneity.overlap_null(9, 1, seed=0, count=6000, level=0.8)
    expected = scipy.stats.beta(0.5, 4).ppf([0.1, 0.9])
    assert null.mean == pytest.approx(1 / 9)
    assert [null.low, null.high] == pytest.approx(list(expected), abs=0.012)


def test_the_null_has_the_known_spread() -> None:
    """The overlap's variance is `2 (n − k)² / (n² (n − 1) (n + 2))`, and it is nearly normal here."""
    n, k = 30, 8
    null = homogeneity.overlap_null(n, k, seed=1, count=1500)
    deviation = (2 * (n - k) ** 2 / (n**2 * (n - 1) * (n + 2))) ** 0.5
    assert null.mean == k / n
    assert [null.low, null.high] == pytest.approx(
        [k / n - 1.96 * deviation, k / n + 1.96 * deviation], abs=0.2 * deviation
    )
    whole = homogeneity.overlap_null(5, 5, seed=0, count=3)
    assert [whole.low, whole.high] == pytest.approx([1, 1])


def test_wrong_arguments_are_named() -> None:
    eye = torch.eye(4)
    with pytest.raises(ValueError, match=r"V: expected shape \(..., 4, 1\), as of U"):
        homogeneity.subspace_overlap(eye[:, :1], eye[:, :2])
    with pytest.raises(ValueError, match="V: expected orthonormal columns, got products that are wrong by 3"):
        homogeneity.subspace_overlap(eye, 2 * eye)
    with pytest.raises(ValueError, match="k: expected an integer from 1 to 4, got 5"):
        homogeneity.overlap_null(4, 5, seed=0)
    with pytest.raises(ValueError, match="k: expected an integer from 1 to 4, got 0"):
        homogeneity.random_frame(4, 0, seed=0)
    with pytest.raises(ValueError, match=r"level: expected a number in \(0, 1\), got 2"):
        homogeneity.overlap_null(4, 2, seed=0, level=2)
    with pytest.raises(
        ValueError, match=r"expected eigenvalues \(2, 4\) beside eigenvectors \(2, 4, 4\), got \(2, 3\)"
    ):
        homogeneity.consistency((torch.ones(2, 3), eye.expand(2, 4, 4)))
    with pytest.raises(ValueError, match=r"noise_floor: expected shape \(2,\), got \(3,\)"):
        homogeneity.consistency((torch.ones(2, 4), eye.expand(2, 4, 4)), noise_floor=torch.zeros(3))
