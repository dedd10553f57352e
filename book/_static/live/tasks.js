/* What the worker does.  A task is a generator that stops after each piece of work, so that a newer and more urgent
   one, an image above all, is never kept waiting for longer than a piece takes. */
geomlibLive.define("tasks", (live) => {
  const FIRST_TO_LAST = ["load", "image", "plane", "curve", "strengths", "spectrum"];
  // A drawing that follows the hand is finished before the next begins, or the eye would see none of them.
  const FINISHED_FIRST = new Set(["load", "image", "plane", "strengths"]);

  const meanSquare = (a, b) => {
    let sum = 0;
    for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
    return sum / a.length;
  };

  /** Symmetric matrix `2/m JJ'` of the rows of `pushed`: the metric under the mean squared difference. */
  const metricOf = (pushed) => pushed.map((a) => pushed.map((b) => (2 / a.length) * live.dot(a, b)));

  const pixels = (image, colours) => {
    const result = new Uint8ClampedArray((image.length / colours) * 4);
    for (let i = 0, to = 0; i < image.length; i += colours, to += 4) {
      for (let c = 0; c < 3; c++) result[to + c] = Math.round(255 * image[i + (colours === 3 ? c : 0)]);
      result[to + 3] = 255;
    }
    return result;
  };

  live.Work = class {
    /** Take weights; all earlier places are forgotten. */
    *load(description) {
      this.network = new live.Network(description);
      this.places = {};
    }

    /** A place of its own for each use, so that tasks do not undo each other's work. */
    place(name) {
      return (this.places[name] ??= new live.Place(this.network));
    }

    /** The image at `latent`, as numbers and as pixels, and how far it is from that at `origin`. */
    *image({ latent, origin, numbers }) {
      const image = this.place("image").move(latent);
      const distance = origin ? meanSquare(image, this.place("origin").move(origin)) : 0;
      const result = { side: this.network.side, distance };
      return { ...result, pixels: pixels(image, this.network.colours), numbers: numbers ? image.slice() : null };
    }

    /** The metric of the plane that `axes` span, 2 x 2. */
    *plane({ latent, axes }) {
      const place = this.place("plane");
      place.move(latent);
      yield;
      const pushed = [];
      for (const axis of axes) {
        pushed.push(place.push(axis));
        yield;
      }
      return { metric: metricOf(pushed) };
    }

    /** `a'Ha` for each of `axes`. */
    *strengths({ latent, axes }) {
      const place = this.place("strengths");
      place.move(latent);
      const values = [];
      for (const axis of axes) {
        yield;
        const pushed = place.push(axis);
        values.push((2 / pushed.length) * live.dot(pushed, pushed));
      }
      return { values };
    }

    /** Distances from the image at `latent` to those along `axis`, and `a'Ha` there. */
    *curve({ latent, axis, steps }) {
      const start = this.place("curve");
      const from = start.move(latent).slice();
      const pushed = start.push(axis);
      const distances = [];
      for (const step of steps) {
        yield;
        distances.push(meanSquare(start.move(live.moved(latent, [axis], [step])), from));
      }
      return { steps, distances, strength: (2 / pushed.length) * live.dot(pushed, pushed) };
    }

    /** The whole metric at `latent`: as many derivatives as there are latents, then its eigenvectors. */
    *spectrum({ latent }) {
      const place = this.place("spectrum");
      place.move(latent);
      const n = this.network.latent;
      const pushed = [];
      const metric = Array.from({ length: n }, () => new Float64Array(n));
      for (let i = 0; i < n; i++) {
        yield { done: i, total: n };
        pushed.push(place.push(Float64Array.from({ length: n }, (_, j) => Number(i === j))));
        for (let j = 0; j <= i; j++)
          metric[i][j] = metric[j][i] = (2 / pushed[i].length) * live.dot(pushed[i], pushed[j]);
      }
      yield { done: n, total: n };
      return { metric, ...live.eigen(metric) };
    }
  };

  /** Do what messages `{kind, id, payload}` ask for, one piece at a time, the most urgent first. */
  live.serve = (port) => {
    const work = new live.Work();
    const running = {};
    const waiting = {};
    const channel = new MessageChannel(); // messages that have come are read before the next piece begins
    let asleep = true;

    const drop = (task) => task && port.postMessage({ id: task.id, overtaken: true });
    const begin = (kind, task) => {
      running[kind] = { ...task, spent: 0, steps: work[kind](task.payload) };
    };

    const piece = () => {
      const kind = FIRST_TO_LAST.find((name) => running[name]);
      asleep = !kind;
      if (asleep) return;
      const task = running[kind];
      const end = () => {
        delete running[kind];
        if (waiting[kind]) begin(kind, waiting[kind]);
        delete waiting[kind];
      };
      try {
        const start = performance.now();
        const { done, value } = task.steps.next();
        task.spent += performance.now() - start;
        if (done) {
          port.postMessage({ id: task.id, result: { ...value, spent: task.spent } });
          end();
        } else if (value) port.postMessage({ id: task.id, progress: value });
      } catch (error) {
        port.postMessage({ id: task.id, error: String(error) });
        end();
      }
      channel.port2.postMessage(null);
    };

    channel.port1.onmessage = piece;
    port.onmessage = ({ data: { kind, id, payload, stop } }) => {
      if (stop) {
        drop(running[stop]);
        drop(waiting[stop]);
        delete running[stop];
        delete waiting[stop];
        return;
      }
      const task = { id, payload };
      if (running[kind] && FINISHED_FIRST.has(kind)) {
        drop(waiting[kind]);
        waiting[kind] = task;
      } else {
        drop(running[kind]);
        begin(kind, task);
      }
      if (asleep) {
        asleep = false;
        channel.port2.postMessage(null);
      }
    };
  };
});
