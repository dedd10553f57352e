// Slides of the course: formulas first, then reveal.js; a slide that is taller than the screen gets a smaller type.
"use strict";

const HEIGHT = 720, WIDTH = 1280, SMALLEST = 45; // SMALLEST: in per cent

function fit(slide) {
  for (let size = 100; size >= SMALLEST; size -= 5) {
    slide.style.fontSize = `${size}%`;
    if (slide.scrollHeight <= HEIGHT && slide.scrollWidth <= WIDTH) return;
  }
}

MathJax.startup.promise
  .then(() => Promise.all([...document.images].map((image) => image.decode().catch(() => null))))
  .then(() => Reveal.initialize({
    width: WIDTH, height: HEIGHT, margin: 0.02, center: false, hash: true, slideNumber: "c/t", transition: "none",
    controls: true, progress: true, pdfSeparateFragments: false, help: true,
  }))
  .then(() => {
    fit(Reveal.getCurrentSlide());
    Reveal.on("slidechanged", (event) => fit(event.currentSlide));
    Reveal.on("pdf-ready", () => Reveal.getSlides().forEach(fit));
    document.documentElement.dataset.slides = "ready";
  });
