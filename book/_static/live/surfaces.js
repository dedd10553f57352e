/* Surfaces with their derivatives, the metric that they pull back, and shortest paths on them. */
geomlibLive.define("surfaces", (live) => {
  const { sin, cos, exp, PI } = Math;
  const around = [-PI, PI];

  /** Of each: radius of the ellipse that is shown, ranges of its two coordinates, which of them go round, the point in space, both partial
      derivatives; `closed` ones hide what is behind, and their normal points outwards. */
  live.surfaces = {
    torus: {
      label: "torus",
      radius: 0.7,
      closed: true,
      coordinates: ["round the ring", "round the tube"],
      ranges: [around, around],
      turns: [true, true],
      point: ([a, t]) => [(2 + 0.8 * cos(t)) * cos(a), (2 + 0.8 * cos(t)) * sin(a), 0.8 * sin(t)],
      partials: ([a, t]) => [
        [-(2 + 0.8 * cos(t)) * sin(a), (2 + 0.8 * cos(t)) * cos(a), 0],
        [-0.8 * sin(t) * cos(a), -0.8 * sin(t) * sin(a), 0.8 * cos(t)],
      ],
      ends: [[-2.6, 0.6], [-0.6, 0.6]],
    },
    sphere: {
      label: "sphere",
      radius: 0.35,
      closed: true,
      coordinates: ["longitude", "latitude"],
      ranges: [around, [-1.45, 1.45]],
      turns: [true, false],
      point: ([l, b]) => [cos(b) * cos(l), cos(b) * sin(l), sin(b)],
      partials: ([l, b]) => [
        [-cos(b) * sin(l), cos(b) * cos(l), 0],
        [-sin(b) * cos(l), -sin(b) * sin(l), cos(b)],
      ],
      ends: [[-2.6, 0.7], [-0.5, 0.7]],
    },
    hill: {
      label: "hill",
      radius: 0.3,
      coordinates: ["east", "north"],
      ranges: [[-1.5, 1.5], [-1.5, 1.5]],
      turns: [false, false],
      point: ([x, y]) => [x, y, 1.5 * exp(-3 * (x * x + y * y))],
      partials: ([x, y]) => {
        const height = 1.5 * exp(-3 * (x * x + y * y));
        return [[1, 0, -6 * x * height], [0, 1, -6 * y * height]];
      },
      ends: [[-1.1, -0.3], [1.1, 0.1]],
    },
    saddle: {
      label: "saddle",
      radius: 0.3,
      coordinates: ["along", "across"],
      ranges: [[-1.5, 1.5], [-1.5, 1.5]],
      turns: [false, false],
      point: ([x, y]) => [x, y, (x * x - y * y) / 2],
      partials: ([x, y]) => [[1, 0, x], [0, 1, -y]],
      ends: [[-1.2, -1], [1.2, -0.6]],
    },
    polar: {
      label: "flat, in polar coordinates",
      radius: 0.5,
      coordinates: ["angle", "radius"],
      ranges: [around, [0.2, 3]],
      turns: [true, false],
      point: ([a, r]) => [r * cos(a), r * sin(a), 0],
      partials: ([a, r]) => [[-r * sin(a), r * cos(a), 0], [cos(a), sin(a), 0]],
      ends: [[-2.5, 1.8], [-0.6, 1.8]],
    },
  };

  const inner = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const minus = (a, b) => a.map((value, i) => value - b[i]);
  const grams = (first, second) => first.map((a) => second.map((b) => inner(a, b)));

  /** First fundamental form: inner products of the partial derivatives. */
  live.pulledBack = (surface, place) => grams(surface.partials(place), surface.partials(place));

  /** Length in space of a broken line of coordinates. */
  live.pathLength = (surface, path) => {
    const points = path.map(surface.point);
    return points.slice(1).reduce((sum, point, i) => sum + Math.hypot(...minus(point, points[i])), 0);
  };

  live.straight = (from, to, pieces) =>
    Array.from({ length: pieces + 1 }, (_, i) => from.map((value, j) => value + ((to[j] - value) * i) / pieces));

  const energy = (points) =>
    points.slice(1).reduce((sum, point, i) => {
      const step = minus(point, points[i]);
      return sum + inner(step, step);
    }, 0);

  const inverse = ([[a, b], [c, d]]) => {
    const det = a * d - b * c;
    return [[d / det, -b / det], [-c / det, a / det]];
  };
  const times = (A, B) => A.map((row) => B[0].map((_, j) => row[0] * B[0][j] + row[1] * B[1][j]));
  const on = (A, v) => A.map((row) => row[0] * v[0] + row[1] * v[1]);
  const turned = ([[a, b], [c, d]]) => [[a, c], [b, d]];

  /** Least energy near a path: Gauss-Newton with damping; blocks of 2 x 2 on and beside the diagonal. */
  const relaxed = (surface, start) => {
    let path = start;
    let points = path.map(surface.point);
    let least = energy(points);
    let damping = 1e-3;
    for (let round = 0; round < 60; round++) {
      const partials = path.map(surface.partials);
      const last = path.length - 1;
      const upper = [];
      const sides = [];
      for (let i = 1; i < last; i++) {
        const own = grams(partials[i], partials[i]);
        let diagonal = own.map((row, j) => row.map((value, k) => 2 * value * (j === k ? 1 + damping : 1)));
        const pull = minus(minus(points[i + 1], points[i]), minus(points[i], points[i - 1]));
        let side = partials[i].map((partial) => inner(partial, pull));
        if (i > 1) {
          const lower = grams(partials[i], partials[i - 1]).map((row) => row.map((value) => -value));
          diagonal = diagonal.map((row, j) => minus(row, times(lower, upper[i - 2])[j]));
          side = minus(side, on(lower, sides[i - 2]));
        }
        const solve = inverse(diagonal);
        upper.push(times(solve, turned(grams(partials[i + 1], partials[i])).map((row) => row.map((value) => -value))));
        sides.push(on(solve, side));
      }
      const moves = [];
      for (let i = sides.length - 1; i >= 0; i--)
        moves[i] = i === sides.length - 1 ? sides[i] : minus(sides[i], on(upper[i], moves[i + 1]));
      const tried = path.map((place, i) => (i && i < last ? place.map((x, j) => x + moves[i - 1][j]) : place));
      const reached = tried.map(surface.point);
      const value = energy(reached);
      if (value < least) {
        const gain = least - value;
        [path, points, least] = [tried, reached, value];
        damping = Math.max(damping / 4, 1e-9);
        if (gain < 1e-10 * least) break;
      } else if ((damping *= 8) > 1e4) break;
    }
    return { path, energy: least };
  };

  /** The shortest path that is found from straight starts, also the other way round where a coordinate goes round.

  A curve of least energy is one of least length, at constant speed.  `path` are coordinates, `pieces + 1` of them. */
  live.geodesic = (surface, from, to, pieces = 40) => {
    const shifts = surface.turns.map((turns) => (turns ? [0, 2 * PI, -2 * PI] : [0]));
    let best = null;
    for (const first of shifts[0])
      for (const second of shifts[1]) {
        const found = relaxed(surface, live.straight(from, [to[0] + first, to[1] + second], pieces));
        if (!best || found.energy < best.energy * (1 - 1e-9)) best = found;
      }
    return { path: best.path, length: live.pathLength(surface, best.path) };
  };
});
