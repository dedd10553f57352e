geomlibLive.define("eigen", (live) => {
  /** Eigenvalues, falling, and unit eigenvectors of a symmetric matrix given by its rows: cyclic Jacobi, float64.

  Golub and Van Loan, Matrix Computations, section 8.5.  `matrix` is not changed. */
  live.eigen = (matrix) => {
    const n = matrix.length;
    const a = matrix.map((row) => Float64Array.from(row));
    const v = a.map((_, i) => Float64Array.from({ length: n }, (_, j) => Number(i === j))); // vectors as rows
    const rest = () => a.reduce((sum, row, i) => row.reduce((part, x, j) => (i === j ? part : part + x * x), sum), 0);
    const whole = rest() + a.reduce((sum, row, i) => sum + row[i] ** 2, 0);
    for (let sweep = 0; sweep < 60 && rest() > 1e-30 * whole; sweep++)
      for (let p = 0; p < n - 1; p++)
        for (let q = p + 1; q < n; q++) {
          if (a[p][q] === 0) continue;
          const theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
          const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
          const c = 1 / Math.hypot(t, 1);
          const s = t * c;
          for (let k = 0; k < n; k++) {
            const x = a[k][p];
            a[k][p] = c * x - s * a[k][q];
            a[k][q] = s * x + c * a[k][q];
          }
          for (const [first, second] of [[a[p], a[q]], [v[p], v[q]]])
            for (let k = 0; k < n; k++) {
              const x = first[k];
              first[k] = c * x - s * second[k];
              second[k] = s * x + c * second[k];
            }
        }
    const order = a.map((_, i) => i).sort((i, j) => a[j][j] - a[i][i]);
    return { values: order.map((i) => a[i][i]), vectors: order.map((i) => v[i]) };
  };
});
