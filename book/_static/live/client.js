/* The page's side of the worker: questions and their answers. */
geomlibLive.define("client", (live) => {
  /** Add a script to the page; resolves when it has run.  Works from a disk, where `fetch` does not. */
  const script = (address) =>
    new Promise((resolve, reject) => {
      const element = document.createElement("script");
      element.src = address;
      element.onload = resolve;
      element.onerror = () => reject(new Error(`${address} could not be loaded`));
      document.head.append(element);
    });

  live.Client = class {
    constructor(folder) {
      const source = live.workerSource(["numbers", "network", "eigen", "tasks"]);
      this.address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
      this.worker = new Worker(this.address);
      this.folder = folder;
      this.asked = new Map();
      this.count = 0;
      this.worker.onmessage = ({ data }) => {
        const question = this.asked.get(data.id);
        if (!question) return;
        if (data.progress) return question.progress?.(data.progress);
        this.asked.delete(data.id);
        if (data.error) question.reject(new Error(data.error));
        else question.resolve(data.overtaken ? null : data.result);
      };
      this.worker.onerror = ({ message }) => {
        for (const question of this.asked.values()) question.reject(new Error(message));
        this.asked.clear();
      };
    }

    /** Ask for a task; null where a newer question of its kind has taken its place, or it was stopped. */
    ask(kind, payload, progress) {
      return new Promise((resolve, reject) => {
        const id = ++this.count;
        this.asked.set(id, { resolve, reject, progress });
        this.worker.postMessage({ kind, id, payload });
      });
    }

    stop(kind) {
      this.worker.postMessage({ stop: kind });
    }

    /** Bring the weights of a network, once, and hand them to the worker; what the script tells of it. */
    async load({ name, file }) {
      if (!live.offered[name]) await script(`${this.folder}/made/${file}`);
      const { latent, widths, weights, codes, families, ...told } = live.offered[name];
      await this.ask("load", { latent, widths, weights });
      return {
        ...told,
        latent,
        codes: codes.map(live.float32),
        families: families.map((family) => ({ ...family, axes: family.axes.map(live.float32) })),
      };
    }
  };
});
