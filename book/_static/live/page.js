/* Starts what the page holds. */
geomlibLive.define("page", (live) => {
  const folder = document.currentScript.src.replace(/\/[^/]*$/, "");

  const begin = () => {
    document.documentElement.classList.add("live-on");
    live.playground = new live.Playground(document.getElementById("live-playground"));
    const button = document.getElementById("live-start");
    const status = document.querySelector('[data-live="status"]');
    const size = (live.networks[0]?.bytes ?? 0) / 1e6;
    button.textContent = `Start the generator (${size.toFixed(1)} MB from this book)`;
    button.hidden = !live.networks.length;
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        live.explorer ??= new live.Explorer(document, new live.Client(folder));
        await live.explorer.take(live.networks[0]);
        const held = document.activeElement === button || document.activeElement === document.body;
        document.documentElement.classList.add("live-ready");
        if (held) document.getElementById("live-x").focus({ preventScroll: true });
      } catch (error) {
        status.textContent ||= `This browser cannot start the generator: ${error.message}`;
        button.disabled = false;
      }
    });
  };

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
});
