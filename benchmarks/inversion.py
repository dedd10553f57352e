"""How many seconds does an inversion take, to the same distance?

    python benchmarks/inversion.py --generator shapes-dcgan

Each method on the same targets and starts, all at once: seconds for one target along the way, and the median distance
there.  Rates and dampings are those that the notebook `inversion` tunes.
"""

import statistics
import time
from typing import Any

import torch
from common import Problem, alternate, arguments, write

from geomlib.applications.inversion import invert
from geomlib.homogeneity import bootstrap_interval
from geomlib.metric import average, metric_tensor

OPTIONS: dict[str, dict[str, Any]] = {
    "adam": {"learning_rate": 0.4},
    "adam-eigen": {"learning_rate": 0.1},
    "adam-scaled": {"learning_rate": 0.06},
    "bfgs": {"damping": 0.03},
    "metric-newton": {"damping": 0.1},
    "levenberg-marquardt": {"damping": 1.0, "axes": 8},
    "cma": {"sigma": 0.4},
}
POINTS = 40  # of each curve


def main() -> None:
    parser = arguments("Seconds of an inversion by every method.")
    parser.add_argument("--targets", type=int, default=50)
    parser.add_argument("--budget", type=int, default=450, help="calls for each target; a gradient is three")
    parser.add_argument("--positions", type=int, default=25, help="latents whose metrics are averaged")
    options = parser.parse_args()
    problem = Problem(options)
    if options.quick:
        options.targets, options.budget, options.positions = 2, 60, 2
    G, d = problem.generator, problem.distance
    start = time.perf_counter()
    metric = average(metric_tensor(G, G.sample(options.positions, options.seed + 2), d))
    metric_seconds = time.perf_counter() - start
    with torch.no_grad():
        images = G(G.sample(options.targets, options.seed + 4))

    def timed(method: str) -> Any:
        times = [time.perf_counter()]
        found = invert(
            G,
            images,
            d,
            method,
            budget=options.budget,
            seed=options.seed + 5,
            metric=metric,
            progress=lambda done, total: times.append(time.perf_counter()),
            **OPTIONS[method],
        )
        # The last report only says that all is done.
        along[method].append([later - times[0] for later in times[1 : 1 + len(found.trace.distances)]])
        return found

    along: dict[str, list[list[float]]] = {method: [] for method in OPTIONS}
    turns = alternate(
        {method: lambda method=method: timed(method) for method in OPTIONS}, options.repeats, options.device
    )
    rows: dict[str, Any] = {}
    mark, needed = float(turns["adam"]["result"].distances.median()), {}
    for method, turn in turns.items():
        trace = turn.pop("result").trace
        seconds = [statistics.median(column) / options.targets for column in zip(*along[method], strict=True)]
        low, high = bootstrap_interval(
            lambda draw: draw.median(0).values, trace.distances.T, seed=options.seed, count=300
        )
        middle = trace.distances.median(1).values
        there = (middle <= mark).nonzero()
        needed[method] = seconds[int(there[0])] if len(there) else None
        kept = sorted({round(k) for k in torch.linspace(0, len(seconds) - 1, POINTS).tolist()})
        rows[method] = turn | {
            "options": OPTIONS[method],
            "seconds_along": [seconds[k] for k in kept],
            "calls": trace.calls()[kept].tolist(),
            "median": middle[kept].tolist(),
            "low": low[kept].tolist(),
            "high": high[kept].tolist(),
            "seconds_to_mark": needed[method],
            "over_adam": None if needed[method] is None else needed["adam"] / needed[method],
        }
        over = rows[method]["over_adam"]
        print(f"{method:20} {turn['seconds']:9.3f} s, median {float(middle[-1]):.3g}, over adam {over}")
    write(
        "inversion",
        options,
        problem,
        rows,
        targets=options.targets,
        budget=options.budget,
        positions=options.positions,
        metric_seconds=metric_seconds,
        mark=mark,
    )


if __name__ == "__main__":
    main()
