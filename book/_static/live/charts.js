/* Drawings in SVG, in the colours of the theme. */
geomlibLive.define("charts", (live) => {
  const SPACE = "http://www.w3.org/2000/svg";

  /** An SVG element with attributes and children. */
  live.svg = (name, attributes = {}, ...children) => {
    const element = document.createElementNS(SPACE, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };
  const { svg } = live;

  /** A number as one reads it: three digits. */
  live.shown = (value) => {
    if (value === 0 || !Number.isFinite(value)) return String(value).replace("-", "−");
    const power = Math.floor(Math.log10(Math.abs(value)));
    const digits = power < -3 || power > 4 ? value.toExponential(1) : value.toFixed(Math.max(0, 2 - power));
    return digits.replace("e-", "e−").replace(/^-/, "−");
  };

  /** `M x y L x y` of points. */
  live.line = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(2)} ${y.toFixed(2)}`).join(" ");

  /** Three to six round numbers in a range, each as one reads it. */
  const ticks = (low, high) => {
    const rough = (high - low) / 4;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough);
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    const label = (value) => (digits > 4 ? live.shown(value) : value.toFixed(digits).replace(/^-(?=.*[1-9])|^-/, "−"));
    const result = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) result.push([i * step, label(i * step)]);
    return result;
  };

  /** Axes with marks and names; `place` takes a pair of numbers to the drawing. */
  live.Chart = class {
    constructor(holder, { width = 340, height = 240, xlabel, ylabel }) {
      Object.assign(this, { width, height, xlabel, ylabel, left: 58, right: 10, top: 10, bottom: 42 });
      this.root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
      holder.replaceChildren(this.root);
    }

    range(x, y, { log = false, xticks, yticks } = {}) {
      const { width, height, left, right, top, bottom } = this;
      const scale = ([low, high], from, to) => (value) => from + ((value - low) / (high - low || 1)) * (to - from);
      const across = scale(x, left, width - right);
      const up = scale(y, height - bottom, top);
      this.place = ([a, b]) => [across(a), up(b)];
      const marks = [];
      for (const [value, label] of xticks ?? ticks(...x)) {
        const [at] = this.place([value, 0]);
        marks.push(svg("line", { x1: at, x2: at, y1: top, y2: height - bottom, class: "live-grid" }));
        marks.push(svg("text", { x: at, y: height - bottom + 15, "text-anchor": "middle" }, label));
      }
      for (const [value, label] of yticks ?? ticks(...y)) {
        const [, at] = this.place([0, value]);
        marks.push(svg("line", { x1: left, x2: width - right, y1: at, y2: at, class: "live-grid" }));
        const text = svg("text", { x: left - 6, y: at + 4, "text-anchor": "end" }, log ? "10" : label);
        if (log) text.append(svg("tspan", { dy: -5, "font-size": 9 }, label));
        marks.push(text);
      }
      const middle = (top + height - bottom) / 2;
      marks.push(svg("text", { x: (left + width - right) / 2, y: height - 8, "text-anchor": "middle" }, this.xlabel));
      const turned = { x: 0, y: 0, "text-anchor": "middle", transform: `translate(13 ${middle}) rotate(-90)` };
      marks.push(svg("text", turned, this.ylabel));
      const [wide, high] = [width - left - right, height - top - bottom];
      const box = { x: left, y: top, width: wide, height: high, viewBox: `${left} ${top} ${wide} ${high}` };
      this.area = svg("svg", box); // cuts off what is outside of both ranges
      this.root.replaceChildren(...marks, this.area);
      return this;
    }

    add(name, attributes) {
      const element = svg(name, attributes);
      this.area.append(element);
      return element;
    }

    /** The same, not cut off at the edge. */
    mark(name, attributes) {
      const element = svg(name, attributes);
      this.root.append(element);
      return element;
    }

    curve(points, className) {
      return this.add("path", { d: live.line(points.map(this.place)), class: className });
    }

    bar(index, value, className) {
      const [x, y] = this.place([index, value]);
      const [right, zero] = this.place([index + 0.8, 0]);
      const size = { x: x - (right - x) / 2, width: right - x, y, height: Math.max(0, zero - y) };
      return this.add("rect", { ...size, class: className });
    }

    /** What the drawing shows, for who does not see it. */
    tell(text) {
      this.root.setAttribute("aria-label", text);
    }
  };

  /** Call `moved` with the place in the drawing while a pointer holds `element`. */
  live.draggable = (root, element, moved) => {
    const at = (event) => {
      const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(root.getScreenCTM().inverse());
      moved([point.x, point.y]);
    };
    element.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      element.setPointerCapture(event.pointerId);
      at(event);
      event.preventDefault();
    });
    element.addEventListener("pointermove", (event) => element.hasPointerCapture(event.pointerId) && at(event));
  };

  /** A range input with its label and value; returns the input. */
  live.slider = (holder, { id, label, min, max, step, value, said }) => {
    const row = document.createElement("div");
    row.className = "live-slider";
    const name = Object.assign(document.createElement("label"), { htmlFor: id, textContent: label });
    const output = document.createElement("output");
    output.htmlFor = id;
    const input = Object.assign(document.createElement("input"), { type: "range", id, min, max, step, value });
    input.show = () => {
      output.textContent = said(Number(input.value));
      input.setAttribute("aria-valuetext", output.textContent);
    };
    input.caption = name;
    input.addEventListener("input", input.show);
    input.show();
    row.append(name, input, output);
    holder.append(row);
    return input;
  };

  /** A region that is read aloud when nothing has changed for a second. */
  live.announcer = (region) => {
    let timer;
    return (text) => {
      clearTimeout(timer);
      timer = setTimeout(() => (region.textContent = text), 1000);
    };
  };

  /** Steps that a 2 x 2 metric calls equal: a closed curve `{v: v'Hv = level}`. */
  live.ellipse = ([[a, b], [, c]], level) => {
    const middle = (a + c) / 2;
    const half = Math.hypot((a - c) / 2, b);
    const turn = Math.atan2(2 * b, a - c) / 2; // of the axis with the larger eigenvalue
    const long = Math.sqrt(level / Math.max(middle - half, 1e-9 * middle, 1e-30));
    const short = Math.sqrt(level / Math.max(middle + half, 1e-30));
    return Array.from({ length: 73 }, (_, i) => {
      const angle = (2 * Math.PI * i) / 72;
      const x = short * Math.cos(angle);
      const y = long * Math.sin(angle);
      return [Math.cos(turn) * x - Math.sin(turn) * y, Math.sin(turn) * x + Math.cos(turn) * y];
    });
  };
});
