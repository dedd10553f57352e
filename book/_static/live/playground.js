/* The pullback playground: a surface, its map, a point with its ellipse, the shortest path to a second point. */
geomlibLive.define("playground", (live) => {
  const TILT = 0.62;
  const MAP = 300;

  live.Playground = class {
    constructor(holder) {
      this.find = (name) => holder.querySelector(`[data-live="${name}"]`);
      this.choice = this.find("surface");
      for (const [key, { label }] of Object.entries(live.surfaces)) this.choice.add(new Option(label, key));
      this.say = live.announcer(this.find("said"));
      this.canvas = this.find("view");
      this.sliders = [];
      const knobs = this.find("knobs");
      const said = (value) => value.toFixed(2).replace("-", "−");
      for (const [point, letter] of ["P", "Q"].entries())
        for (const axis of [0, 1]) {
          const options = { id: `live-${letter}${axis}`, label: letter, min: 0, max: 1, step: 0.01, value: 0, said };
          const slider = live.slider(knobs, options);
          slider.addEventListener("input", () => {
            this.ends[point][axis] = Number(slider.value);
            this.draw();
          });
          this.sliders.push({ slider, point, axis, letter });
        }
      const degrees = (value) => `${value}°`.replace("-", "−");
      const turn = { id: "live-turn", label: "turn the surface", min: -180, max: 180, step: 1, value: 0, said: degrees };
      this.turn = live.slider(knobs, turn);
      this.turn.addEventListener("input", () => this.paint());
      this.choice.addEventListener("change", () => this.show());
      new MutationObserver(() => this.paint()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
      this.show();
    }

    /** Another surface. */
    show() {
      const surface = (this.surface = live.surfaces[this.choice.value]);
      this.ends = surface.ends.map((end) => [...end]);
      const { root, place } = this.chart();
      this.handles = ["P", "Q"].map((letter) => {
        const mark = live.svg("circle", { r: 7, class: `live-handle live-${letter}` });
        const text = live.svg("text", { class: "live-letter", "text-anchor": "middle" }, letter);
        root.append(mark, text);
        return { mark, text };
      });
      let held = 0;
      root.addEventListener(
        "pointerdown",
        (event) => {
          const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(root.getScreenCTM().inverse());
          const far = this.ends.map((end) => Math.hypot(...place(end).map((value, i) => value - [at.x, at.y][i])));
          held = far[0] <= far[1] ? 0 : 1;
        },
        true,
      );
      live.draggable(root, root, (at) => {
        this.ends[held] = this.inside(this.unplace(at));
        this.draw();
      });
      for (const { slider, axis, letter } of this.sliders) {
        const [low, high] = surface.ranges[axis];
        Object.assign(slider, { min: low.toFixed(2), max: high.toFixed(2) });
        slider.caption.textContent = `${letter}: ${surface.coordinates[axis]}`;
      }
      this.draw();
    }

    inside(place) {
      return place.map((value, i) => Math.min(Math.max(value, this.surface.ranges[i][0]), this.surface.ranges[i][1]));
    }

    /** The map: a plane of both coordinates, with one unit as long either way. */
    chart() {
      const [[left, right], [low, high]] = this.surface.ranges;
      const unit = (MAP - 50) / Math.max(right - left, high - low);
      const [width, height] = [50 + unit * (right - left), 50 + unit * (high - low)];
      const chart = new live.Chart(this.find("map"), { width, height, xlabel: "", ylabel: "" });
      Object.assign(chart, { left: 38, right: 12, top: 12, bottom: 38 });
      [chart.xlabel, chart.ylabel] = this.surface.coordinates;
      chart.range([left, right], [low, high]);
      chart.root.classList.add("live-pad");
      this.place = chart.place;
      this.unplace = ([x, y]) => [left + (x - 38) / unit, high - (y - 12) / unit];
      this.map = chart;
      this.curves = ["live-straight", "live-geodesic", "live-ellipse"].map((name) => chart.add("path", { class: name }));
      return chart;
    }

    /** All that depends on the two points. */
    draw() {
      const { surface, ends } = this;
      for (const { slider, point, axis } of this.sliders) {
        slider.value = ends[point][axis];
        slider.show();
      }
      const exact = live.pulledBack(surface, ends[0]);
      const metric = exact.map((row) => row.map((x) => (Math.abs(x) < 1e-12 * (exact[0][0] + exact[1][1]) ? 0 : x)));
      const ellipse = live.ellipse(metric, surface.radius ** 2).map((step) => step.map((value, i) => ends[0][i] + value));
      const { path, length } = live.geodesic(surface, ...ends);
      const straight = live.straight(...ends, 60);
      this.drawn = { straight, path, ellipse };
      // A path that goes over the edge of the map comes in again on the other side.
      const copies = (line) => {
        const moved = surface.turns.map((turns) => (turns ? [0, 2 * Math.PI, -2 * Math.PI] : [0]));
        return moved[0].flatMap((x) => moved[1].map((y) => live.line(line.map(([a, b]) => this.place([a + x, b + y])))));
      };
      [straight, path, ellipse].forEach((line, i) => this.curves[i].setAttribute("d", copies(line).join(" ")));
      ends.forEach((end, i) => {
        const [x, y] = this.place(end);
        this.handles[i].mark.setAttribute("cx", x);
        this.handles[i].mark.setAttribute("cy", y);
        this.handles[i].text.setAttribute("x", x);
        this.handles[i].text.setAttribute("y", y + 4);
      });
      const direct = live.pathLength(surface, straight);
      const more = length > 0 ? 100 * (direct / length - 1) : 0;
      const text =
        `Shortest path found: ${live.shown(length)}. The line that is straight on the map: ${live.shown(direct)}, ` +
        `${more.toFixed(more < 10 ? 1 : 0)} % longer. Metric at P: ${live.shown(metric[0][0])}, ` +
        `${live.shown(metric[0][1])}, ${live.shown(metric[1][1])}.`;
      this.find("numbers").textContent = text;
      this.map.tell(`Map of the ${surface.label} with both points, the ellipse at P and both paths. ${text}`);
      this.say(text);
      this.paint();
    }

    /** The surface in space, seen from above at a slant. */
    paint() {
      const { surface, canvas } = this;
      const style = getComputedStyle(canvas);
      const colour = (name) => style.getPropertyValue(`--live-${name}`).trim();
      const turn = (Number(this.turn.value) * Math.PI) / 180;
      const seen = ([x, y, z]) => {
        const [right, away] = [Math.cos(turn) * x - Math.sin(turn) * y, Math.sin(turn) * x + Math.cos(turn) * y];
        const [up, near] = [Math.cos(TILT) * z + Math.sin(TILT) * away, Math.sin(TILT) * z - Math.cos(TILT) * away];
        return [right, up, near];
      };
      const counts = [48, 24];
      const at = (i, j) => [i, j].map((k, c) => {
        const [low, high] = surface.ranges[c];
        return low + ((high - low) * k) / counts[c];
      });
      const faces = [];
      for (let i = 0; i < counts[0]; i++)
        for (let j = 0; j < counts[1]; j++) {
          const corners = [at(i, j), at(i + 1, j), at(i + 1, j + 1), at(i, j + 1)].map((c) => seen(surface.point(c)));
          const facing = this.facing(at(i + 0.5, j + 0.5), seen);
          faces.push({ corners, facing, near: corners.reduce((sum, corner) => sum + corner[2], 0) });
        }
      faces.sort((a, b) => a.near - b.near);
      const [width, height] = [640, 544];
      Object.assign(canvas, { width, height });
      const pen = canvas.getContext("2d");
      const [right, up] = [0, 1].map((c) => faces.flatMap(({ corners }) => corners.map((corner) => corner[c])));
      const span = (values) => [Math.min(...values), Math.max(...values)];
      const [[left, far], [low, high]] = [span(right), span(up)];
      const unit = 0.94 * Math.min(width / (far - left), height / (high - low));
      const to = ([x, y]) => [width / 2 + unit * (x - (left + far) / 2), height / 2 - unit * (y - (low + high) / 2)];
      for (const { corners, facing } of faces) {
        const grey = Math.round(255 * (0.62 + 0.3 * Math.abs(facing)));
        pen.fillStyle = pen.strokeStyle = `rgb(${grey},${grey},${grey})`;
        pen.beginPath();
        for (const corner of corners) pen.lineTo(...to(corner));
        pen.closePath();
        pen.fill();
        pen.stroke();
      }
      const front = (place) => !surface.closed || this.facing(place, seen) > 0;
      const stroke = (line, name) => {
        pen.strokeStyle = colour(name);
        line.slice(1).forEach((place, i) => {
          const visible = front(place);
          pen.lineWidth = visible ? 5 : 2;
          pen.setLineDash(visible ? [] : [6, 6]);
          pen.beginPath();
          pen.moveTo(...to(seen(surface.point(line[i]))));
          pen.lineTo(...to(seen(surface.point(place))));
          pen.stroke();
        });
      };
      stroke(this.drawn.straight, "second");
      stroke(this.drawn.path, "first");
      stroke(this.drawn.ellipse, "third");
      pen.setLineDash([]);
      pen.font = "bold 26px system-ui, sans-serif";
      pen.textAlign = "center";
      pen.textBaseline = "middle";
      this.ends.forEach((end, i) => {
        const [x, y] = to(seen(surface.point(end)));
        pen.fillStyle = "#fff";
        pen.strokeStyle = "#222";
        pen.lineWidth = 3;
        pen.beginPath();
        pen.arc(x, y, 17, 0, 2 * Math.PI);
        pen.fill();
        pen.stroke();
        pen.fillStyle = "#222";
        pen.fillText("PQ"[i], x, y + 1);
      });
      canvas.setAttribute("aria-label", `The ${surface.label} in space with the same two paths and the ellipse at P.`);
    }

    /** Cosine between the normal and the line of sight. */
    facing(place, seen) {
      const [[a, b, c], [d, e, f]] = this.surface.partials(place).map(seen);
      const normal = [b * f - c * e, c * d - a * f, a * e - b * d];
      return normal[2] / (Math.hypot(...normal) || 1);
    }
  };
});
