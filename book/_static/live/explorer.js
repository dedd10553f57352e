/* The axis explorer and the metric of its generator: one code, two axes, and how far one has moved along each. */
geomlibLive.define("explorer", (live) => {
  const REACH = 3; // of the sliders, in units of the latent
  const RADIUS = 0.5; // of the ellipse where one begins
  const HERE = "here";
  const STEPS = Array.from({ length: 25 }, (_, i) => -REACH + (i * REACH) / 12);
  const { shown } = live;

  /** Standard normal numbers (Box and Muller). */
  const normal = (count) =>
    Float32Array.from({ length: count }, () => {
      const radius = Math.sqrt(-2 * Math.log(1 - Math.random()));
      return radius * Math.cos(2 * Math.PI * Math.random());
    });

  const fill = (select, options, value) => {
    select.replaceChildren(...options.map(([key, label]) => new Option(label, key)));
    if (value !== undefined) select.value = value;
  };

  live.Explorer = class {
    constructor(holder, client) {
      this.client = client;
      this.find = (name) => holder.querySelector(`[data-live="${name}"]`);
      this.all = (name) => [...holder.querySelectorAll(`[data-live="${name}"]`)];
      this.say = live.announcer(this.find("told"));
      this.version = 0; // of code and axes: answers about earlier ones are of no use
      this.spectra = new Map(); // by code
      this.times = {};
      const said = (value) => value.toFixed(1).replace("-", "−");
      const options = { min: -REACH, max: REACH, step: 0.1, value: 0, said };
      this.x = live.slider(this.find("step-a"), { id: "live-x", label: "step along the axis", ...options });
      this.x2 = live.slider(this.find("steps"), { id: "live-x2", label: "step along the first axis", ...options });
      this.y = live.slider(this.find("steps"), { id: "live-y", label: "step along the second axis", ...options });
      this.x.addEventListener("input", () => this.go([this.x.value, this.y.value]));
      this.x2.addEventListener("input", () => this.go([this.x2.value, this.y.value]));
      this.y.addEventListener("input", () => this.go([this.x.value, this.y.value]));
      this.find("code").addEventListener("change", () => this.begin());
      this.find("family").addEventListener("change", () => this.begin());
      this.find("axis-a").addEventListener("change", () => this.renew());
      this.find("axis-b").addEventListener("change", () => this.renew());
      this.find("another").addEventListener("click", () => this.another());
      this.find("back").addEventListener("click", () => this.go([0, 0]));
      this.find("whole").addEventListener("click", () => this.spectrum());
      this.find("stop").addEventListener("click", () => client.stop("spectrum"));
      this.find("network").addEventListener("change", () => this.take(live.networks[this.find("network").value]));
      fill(this.find("network"), live.networks.map(({ name, title }, i) => [i, `${name}: ${title}`]), 0);
      this.find("network").closest("label").hidden = live.networks.length < 2;
      this.makePad();
    }

    /** Another network. */
    async take(entry) {
      const status = this.find("status");
      status.textContent = `Loading ${entry.name}, ${(entry.bytes / 1e6).toFixed(1)} MB …`;
      try {
        this.network = await this.client.load(entry);
      } catch (error) {
        status.textContent = `${entry.name} cannot be shown: ${error.message}`;
        throw error;
      }
      status.textContent = "";
      this.spectra.clear();
      const { title, training, licence, codes, families } = this.network;
      this.find("licence").textContent = `${entry.name}: ${title}. Training data: ${training}. Licence: ${licence}.`;
      fill(this.find("code"), codes.map((_, i) => [i, `code ${i + 1}`]), 0);
      const here = [HERE, "metric at this code, under mse (computed in your browser)"];
      fill(this.find("family"), [...families.map(({ key, label }) => [key, label]), here], families[0].key);
      this.family = null;
      await this.begin();
    }

    /** Another code or family of axes. */
    async begin() {
      const { codes, families } = this.network;
      const turn = (this.turn = (this.turn ?? 0) + 1);
      this.code = codes[this.find("code").value];
      const key = this.find("family").value;
      this.client.stop("spectrum");
      this.rest();
      this.showSpectrum();
      if (key === HERE) {
        const found = await this.spectrum();
        if (turn !== this.turn) return;
        if (!found) {
          this.find("family").value = this.family?.key ?? families[0].key;
          if (this.family?.key === HERE) this.find("family").value = families[0].key; // that of another code
          return this.begin();
        }
        const told = "Leading eigenvectors of the metric at this code, under the mean squared difference.";
        const count = Math.min(10, found.vectors.length);
        this.family = { key, told, axes: found.vectors.slice(0, count), names: Array(count).fill("") };
      } else this.family = families.find((family) => family.key === key);
      this.find("source").textContent = this.family.told;
      const axes = this.family.names.map((name, i) => [i, name ? `${i + 1}: ${name}` : `axis ${i + 1}`]);
      fill(this.find("axis-a"), axes, 0);
      fill(this.find("axis-b"), axes, Math.min(1, axes.length - 1));
      this.renew();
    }

    /** A code that nobody has seen. */
    another() {
      const { codes, latent } = this.network;
      codes.push(normal(latent));
      this.find("code").add(new Option(`code ${codes.length} (yours)`, codes.length - 1));
      this.find("code").value = codes.length - 1;
      this.begin();
    }

    /** Start anew from the code, along the axes that are chosen. */
    renew() {
      this.version++;
      this.axes = ["axis-a", "axis-b"].map((name) => this.family.axes[this.find(name).value]);
      this.level = this.line = null;
      this.tallest = 0;
      this.chosen = Number(this.find("axis-a").value);
      this.follow();
      this.go([0, 0]);
    }

    /** To steps along both axes; everything follows. */
    go(steps) {
      this.steps = steps.map((value) => Math.round(10 * Math.min(Math.max(value, -REACH), REACH)) / 10);
      for (const [slider, i] of [[this.x, 0], [this.x2, 0], [this.y, 1]]) {
        slider.value = this.steps[i];
        slider.show();
      }
      this.movePad();
      return Promise.all([this.image(), this.plane(), this.strengths()]);
    }

    place() {
      return live.moved(this.code, this.axes, this.steps);
    }

    /** Ask, and tell whether the answer is still wanted. */
    async ask(kind, payload, progress) {
      const { version } = this;
      const answer = await this.client.ask(kind, payload, progress);
      if (!answer || version !== this.version) return null;
      this.times[kind] = answer.spent;
      const parts = [["image", "image"], ["plane", "ellipse"], ["spectrum", "spectrum"]];
      const times = parts.filter(([name]) => this.times[name]).map(([name, label]) => `${label} ${this.times[name].toFixed(0)} ms`);
      this.find("times").textContent = `Computed on this machine: ${times.join(", ")}.`;
      return answer;
    }

    async image() {
      const asked = this.steps;
      const answer = await this.ask("image", { latent: this.place(), origin: this.code });
      if (!answer) return;
      const { side, pixels, distance } = answer;
      const words = `${this.words(asked)}; it differs from the image of the code by ${shown(distance)}, mean squared.`;
      for (const canvas of this.all("image")) {
        Object.assign(canvas, { width: side, height: side });
        canvas.getContext("2d").putImageData(new ImageData(pixels, side, side), 0, 0);
        canvas.setAttribute("aria-label", `Image at ${words}`);
      }
      this.find("distance").textContent = `Distance from the code's image: ${shown(distance)}.`;
      this.say(`Image at ${words}`);
      this.here = [asked[0], distance];
      this.drawCurve();
    }

    words([x, y]) {
      const name = (which) => this.find(which).selectedOptions[0].textContent;
      return `step ${x.toFixed(1)} along ${name("axis-a")}` + (y ? ` and ${y.toFixed(1)} along ${name("axis-b")}` : "");
    }

    /** The curve of distances, and how it begins: half the metric times the square of the step. */
    async follow() {
      const answer = await this.ask("curve", { latent: this.code, axis: this.axes[0], steps: STEPS });
      if (!answer) return;
      this.line = answer;
      this.drawCurve();
    }

    drawCurve() {
      this.curve ??= new live.Chart(this.find("curve"), { xlabel: "step along the axis", ylabel: "mean squared difference" });
      const { line, here, curve } = this;
      const top = 1.08 * Math.max(here?.[1] ?? 0, ...(line?.distances ?? [1e-9]));
      curve.range([-REACH, REACH], [0, top || 1]);
      if (line) {
        curve.curve(STEPS.map((step, i) => [step, line.distances[i]]), "live-first");
        const edge = Math.min(REACH, Math.sqrt((2 * top) / (line.strength || 1)));
        const bow = Array.from({ length: 41 }, (_, i) => edge * (i / 20 - 1));
        curve.curve(bow.map((step) => [step, (line.strength * step * step) / 2]), "live-second");
      }
      const [cx, cy] = curve.place(here);
      curve.mark("circle", { cx, cy, r: 6, class: "live-mark" });
      const end = line ? ` At −3 it is ${shown(line.distances[0])}, at 3 ${shown(line.distances[24])}.` : "";
      curve.tell(`Distance from the code's image along the axis; here it is ${shown(here[1])}.${end}`);
    }

    async strengths() {
      const answer = await this.ask("strengths", { latent: this.place(), axes: this.family.axes });
      if (!answer) return;
      const { values } = answer;
      this.bars ??= new live.Chart(this.find("bars"), { xlabel: "axis", ylabel: "strength here, under mse" });
      const count = values.length;
      this.tallest = Math.max(this.tallest, ...values, 1e-12); // one scale while one moves
      const xticks = values.map((_, i) => [i + 1, String(i + 1)]);
      this.bars.range([0.4, count + 0.6], [0, 1.05 * this.tallest], { xticks });
      values.forEach((value, i) => this.bars.bar(i + 1, value, i === this.chosen ? "live-bar live-chosen" : "live-bar"));
      this.bars.tell(`Strength of each axis at this place: ${values.map(shown).join(", ")}. Chosen: ${this.chosen + 1}.`);
    }

    makePad() {
      const chart = new live.Chart(this.find("pad"), { width: 320, height: 320, xlabel: "first axis", ylabel: "second axis" });
      Object.assign(chart, { left: 44, right: 10, top: 10, bottom: 44 });
      chart.range([-REACH, REACH], [-REACH, REACH]);
      chart.root.classList.add("live-pad");
      this.oval = chart.add("path", { class: "live-ellipse" });
      this.dot = chart.mark("circle", { r: 8, class: "live-handle" });
      const unit = 266 / (2 * REACH);
      live.draggable(chart.root, chart.root, ([x, y]) => this.go([(x - 44) / unit - REACH, REACH - (y - 10) / unit]));
      this.pad = chart;
    }

    movePad() {
      const [x, y] = this.pad.place(this.steps);
      this.dot.setAttribute("cx", x);
      this.dot.setAttribute("cy", y);
    }

    /** The ellipse of equal steps; its size is set by the one at the code. */
    async plane() {
      if (!this.level) {
        const answer = await this.ask("plane", { latent: this.code, axes: this.axes });
        if (!answer) return;
        const [[a, b], [, c]] = answer.metric;
        this.level = RADIUS ** 2 * Math.sqrt(Math.max(a * c - b * b, (1e-4 * (a + c)) ** 2));
      }
      const at = this.steps;
      const answer = await this.ask("plane", { latent: this.place(), axes: this.axes });
      if (!answer) return;
      const steps = live.ellipse(answer.metric, this.level);
      this.oval.setAttribute("d", live.line(steps.map(([x, y]) => this.pad.place([at[0] + x, at[1] + y]))));
      const [[a, b], [, c]] = answer.metric;
      const words =
        `Metric here: ${shown(a)}, ${shown(b)}, ${shown(c)}. Each step to the edge of the ellipse changes the image by ` +
        `${shown(this.level / 2)}, mean squared, to second order.`;
      this.find("metric").textContent = words;
      this.pad.tell(`Plane of both axes at step ${at.map((v) => v.toFixed(1)).join(" and ")}. ${words}`);
    }

    /** The whole metric at the code, which is kept; null when it was stopped. */
    async spectrum() {
      const { code } = this;
      if (!this.spectra.has(code)) {
        const bar = this.find("progress");
        this.find("whole").disabled = true;
        this.find("stop").hidden = bar.hidden = false;
        const answer = await this.client.ask("spectrum", { latent: code }, ({ done, total }) => {
          Object.assign(bar, { value: done, max: total });
          this.find("done").textContent = `${done} of ${total} derivatives`;
        });
        if (answer) this.spectra.set(code, answer);
        if (code !== this.code) return null;
        this.rest();
        if (!answer) this.find("done").textContent = "Stopped.";
        if (!answer) return null;
        this.times.spectrum = answer.spent;
      }
      this.showSpectrum();
      return this.spectra.get(code);
    }

    /** No spectrum is being computed. */
    rest() {
      this.find("stop").hidden = this.find("progress").hidden = true;
      this.find("whole").disabled = this.spectra.has(this.code);
      this.find("done").textContent = "";
    }

    /** What is known of the spectrum at the code, beside the one that came with the network. */
    showSpectrum() {
      const found = this.spectra.get(this.code);
      const average = this.network.families.find(({ spectrum }) => spectrum.length);
      this.find("whole").disabled = Boolean(found);
      this.chart ??= new live.Chart(this.find("spectrum"), { height: 260, xlabel: "axis", ylabel: "share of the largest" });
      const decades = [-6, -4, -2, 0].map((power) => [power, String(power).replace("-", "−")]);
      this.chart.range([0, this.network.latent + 1], [-7.3, 0.2], { log: true, yticks: decades });
      const logs = (values) => values.map((value, i) => [i + 1, Math.max(-7.3, Math.log10(Math.max(value, 1e-30) / values[0]))]);
      if (average) this.chart.curve(logs(average.spectrum), "live-second");
      if (found) this.chart.curve(logs(found.values), "live-first");
      const text = this.find("shares");
      if (!found) {
        text.textContent = "Not computed yet at this code.";
        this.chart.tell("Spectrum of the average metric, computed beforehand; that at this code is not computed yet.");
        return;
      }
      const values = found.values.map((value) => Math.max(value, 0));
      const total = values.reduce((sum, value) => sum + value, 0);
      let [part, count] = [0, 0];
      while (part < 0.99 * total) part += values[count++];
      const ratio = total ** 2 / values.reduce((sum, value) => sum + value ** 2, 0);
      text.textContent =
        `At this code, under mse: the largest eigenvalue is ${shown(values[0])}, ${count} of ${values.length} axes hold 99\u00a0% ` +
        `of the sum, participation ratio ${ratio.toFixed(1)}. Computed in ${(found.spent / 1000).toFixed(1)} s.`;
      this.chart.tell(`Spectrum. ${text.textContent}`);
    }
  };
});
