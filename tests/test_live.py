"""The live page: its network against PyTorch, and the page itself in Chromium, from a server and from the disk."""

import base64
import json
import math
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ROOT
from playwright.sync_api import Browser, ConsoleMessage, Page
from test_cli import call
from torch import Tensor, nn

import geomlib
from geomlib.book import build, live, runner, site
from geomlib.generators import Generator, load_generator
from geomlib.generators.architectures.tutorial_dcgan import ConditionalDCGAN, TutorialDCGAN
from geomlib.generators.latents import latents_for
from geomlib.generators.spaces import as_generator
from geomlib.live import make
from geomlib.live.folding import Folded, fold
from geomlib.live.script import encoded, network_script

DCGAN = "shapes-dcgan"
PARTS = ROOT / "book" / "_static" / "live"
ADDRESSES = ("disk", "server")


def small(seed: int, network: nn.Module) -> Any:
    """A network with weights and statistics that leave nothing at its default."""
    random = torch.Generator().manual_seed(seed)
    for name, values in network.state_dict().items():
        if values.is_floating_point():
            noise = torch.randn(values.shape, generator=random)
            values.copy_(noise.abs() + 0.5 if "var" in name else 0.5 * noise)
    return network.eval().requires_grad_(False)


# Folding


def test_folding_keeps_the_images() -> None:
    generator = load_generator(DCGAN)
    latents = generator.sample(3, 1)
    assert (fold(generator)(latents) - generator(latents)).abs().max() < 0.01


@pytest.mark.parametrize("space", ["noise", "all"])
def test_a_label_becomes_part_of_the_first_layer(space: str) -> None:
    network = small(0, ConditionalDCGAN(5, ("a", "b", "c"), dim_g=6, dim_output=1, depth=1))
    options = {"class_index": 2} if space == "noise" else {}
    generator = as_generator("conditional_dcgan", network, space, "labelled", "mse", **options)
    folded = fold(generator)
    latents = generator.sample(3, 1)
    assert folded.widths == [12, 6, 1]
    assert folded.latent_dim == generator.latent_dim == (5 if space == "noise" else 8)
    assert (folded(latents) - generator(latents)).abs().max() < 0.01


class Upside(TutorialDCGAN):
    def forward(self, latents: Tensor) -> Tensor:
        return super().forward(latents).flip(2)


@pytest.mark.parametrize(
    ("generator", "reason"),
    [
        (lambda: load_generator("shapes-stylegan2"), "it has a "),
        (lambda: load_generator("sphere"), "a function, whose parts are not known"),
        (lambda: Generator(small(0, Upside(5, 4, 3, 1)), 5), "its images are not those of a DCGAN"),
        (lambda: Generator(nn.Sequential(nn.Unflatten(1, (5, 1, 1)), nn.Tanh()).eval(), 5), "it has a Unflatten"),
        (lambda: Generator(lambda z: small(0, TutorialDCGAN(5, 4, 3, 1))(z) / 2, 5), "parts are not known"),
    ],
)
def test_other_networks_are_refused(generator: Callable[[], Generator], reason: str) -> None:
    with pytest.raises(ValueError, match="is no DCGAN, and the page computes only these") as caught:
        fold(generator())
    assert reason in str(caught.value)


def test_sizes(fetched: Callable[[str], Path]) -> None:
    limits = {DCGAN: 3e6, "dcgan-portraits": 10e6}
    for name, limit in limits.items():
        if name != DCGAN:
            fetched(name)
        generator = load_generator(name)
        text = network_script({"name": name}, fold(generator), generator.sample(8, 0), [])
        assert len(text) < limit - 1e5, "and what axes take"


# What the build does


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A book that is the live page, with what it loads made from one metric, built by Sphinx."""
    root = tmp_path_factory.mktemp("live")
    pages = root / "book"
    shutil.copytree(ROOT / "book" / "_static", pages / "_static", ignore=shutil.ignore_patterns("made"))
    for name in ("live.md", "references.bib"):
        shutil.copyfile(ROOT / "book" / name, pages / name)
    shutil.copyfile(ROOT / "_config.yml", root / "_config.yml")
    others = ("index", "executed/hessian_methods", "executed/geodesics", "executed/course_2_pullback")
    for name in others:
        (pages / name).parent.mkdir(exist_ok=True)
        (pages / f"{name}.md").write_text(f"# {name}\n", encoding="utf-8")
    listed = "".join(f"- file: book/{name}\n" for name in ("live", *others[1:]))
    (root / "_toc.yml").write_text(f"format: jb-book\nroot: book/index\nchapters:\n{listed}", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        said: list[str] = []
        live.prepare([DCGAN], positions=1, say=said.append)
        assert said == [f"live: {DCGAN}"]
        site.render(Path("_build/html"))  # strict: no warning
    return root


def test_what_is_made_stays_until_something_changes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    made = {path.name: path.stat().st_mtime_ns for path in live.PLACE.iterdir()}
    assert set(made) == {"networks.js", "network-1.js", "axis.png", "metric.png", "surface.png"}
    said: list[str] = []
    live.prepare([DCGAN], positions=1, say=said.append)
    assert not said
    # Another request that cannot be met leaves all as it was.
    with pytest.raises(ValueError, match="live: sphere is no DCGAN, and the page computes only these"):
        live.prepare([DCGAN, "sphere"], positions=1, say=said.append)
    assert {path.name: path.stat().st_mtime_ns for path in live.PLACE.iterdir()} == made
    assert not said


def test_the_build_makes_it_first(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any notebook runs, so that a name that cannot be shown costs no time; only where the book has the page."""
    asked: list[Any] = []

    def prepare(names: Any, **given: Any) -> None:
        asked.append((tuple(names), given["positions"]))
        raise ValueError("live: asked")

    monkeypatch.setattr(live, "prepare", prepare)
    monkeypatch.setattr(runner, "run_plans", lambda *given, **named: pytest.fail("a notebook ran"))
    settings = {"generator": DCGAN}
    for listed, error, message in (
        ("book/live", ValueError, "live: asked"),
        ("book/alive", pytest.fail.Exception, "ran"),
    ):
        (toy / "_toc.yml").write_text(f"root: book/index\nchapters:\n- file: {listed}\n- file: book/executed/toy\n")
        with pytest.raises(error, match=message):
            build.build(root=toy, settings=settings, show=["mine"])
    assert asked == [(("mine",), 25)]


@pytest.mark.parametrize("names", [[], [DCGAN, DCGAN]])
def test_names_differ(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(ValueError, match="live: expected names of different generators"):
        make(names, tmp_path / "made")
    assert not list(tmp_path.iterdir())


def test_only_networks_that_were_asked_for_are_in_a_book(root: Path) -> None:
    text = (root / live.PLACE / "networks.js").read_text(encoding="utf-8")
    assert [one["name"] for one in json.loads(text.partition("networks = ")[2].rstrip().rstrip(";"))] == [DCGAN]
    assert live.DEFAULT == (DCGAN,)


def test_the_command_line_takes_names(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def built(**given: Any) -> Path:
        asked.append(given["show"])
        return Path("index.html")

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(build, "build", built)
    assert call(monkeypatch, "book", "--live", "shapes-dcgan", "--live", "dcgan-faces") == 0
    assert call(monkeypatch, "book") == 0
    assert asked == [["shapes-dcgan", "dcgan-faces"], []]


# The page


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *given: object) -> None:
        pass


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[str]:
    handler = partial(Quiet, directory=str(root / "_build/html"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as one:
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{one.server_port}/"
        one.shutdown()


class Visit:
    """The live page, as it is loaded; collects errors and requests."""

    def __init__(self, browser: Browser, root: Path, base: str, **context: Any) -> None:
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.base = base or (root / "_build/html").as_uri() + "/"
        self.page: Page = browser.new_context(**context).new_page()
        self.page.on("console", self.console)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(f"{self.base}book/live.html")

    def console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.location["url"].endswith("favicon.ico"):
            self.problems.append(message.text)

    def start(self) -> Page:
        self.page.click("#live-start")
        self.page.wait_for_selector(".live-ready", state="attached")
        self.page.wait_for_function("(({ here, line, bars }) => here && line && bars)(geomlibLive.explorer)")
        return self.page

    def ask(self, kind: str, payload: dict[str, Any]) -> Any:
        """An answer of the worker, arrays as lists."""
        return self.page.evaluate(
            """async ([kind, payload]) => {
                const answer = await geomlibLive.explorer.client.ask(kind, payload);
                const plain = (key, value) => (ArrayBuffer.isView(value) ? [...value] : value);
                return JSON.parse(JSON.stringify(answer, plain));
            }""",
            [kind, payload],
        )

    def close(self) -> None:
        self.page.context.close()


@pytest.fixture(scope="module")
def visit(browser: Browser, root: Path) -> Iterator[Visit]:
    """The page from the disk, started."""
    one = Visit(browser, root, "")
    one.start()
    yield one
    assert not one.problems
    one.close()


def reference(folded: Folded, latent: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Image by row, column, colour, and metric under mse in float64, of the weights that the page has."""

    def image(one: Tensor) -> Tensor:
        return folded(one[None])[0].permute(1, 2, 0).flatten()

    z = latent.double()
    derivatives = [torch.func.jvp(image, (z,), (unit,))[1] for unit in torch.eye(len(z)).double()]
    J = torch.stack(derivatives, 1)
    return image(z).numpy(), (2 / len(J) * J.mT @ J).numpy()


@pytest.fixture(scope="module")
def expected() -> tuple[Tensor, np.ndarray, np.ndarray, np.ndarray]:
    """A code, its image and metric, and the leading eigenvalues of the network as it was trained."""
    generator = load_generator(DCGAN)
    code = latents_for("judging", generator, 2)[1]
    exact = geomlib.metric_tensor(generator, code, geomlib.load_distance("mse")).eigenvalues[:10].numpy()
    return code, *reference(fold(generator), code), exact


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_page_computes_what_pytorch_does(
    browser: Browser,
    root: Path,
    server: str,
    address: str,
    expected: tuple[Tensor, np.ndarray, np.ndarray, np.ndarray],
) -> None:
    visit = Visit(browser, root, server if address == "server" else "")
    before = [url for url in visit.requests if "network-1.js" in url]
    assert not before, "weights are loaded on first use"
    visit.start()
    code, image, metric, exact = expected
    answer = visit.ask("image", {"latent": code.tolist(), "numbers": True})
    assert np.abs(np.array(answer["numbers"]) - image).max() < 1e-5
    found = visit.ask("spectrum", {"latent": code.tolist()})
    assert np.abs(np.array([list(row) for row in found["metric"]]) - metric).max() < 1e-4 * np.abs(metric).max()
    values, vectors = np.array(found["values"]), np.array(found["vectors"])
    assert np.allclose(values, np.linalg.eigvalsh(metric)[::-1], rtol=0, atol=1e-6 * values[0])
    assert np.allclose(vectors @ vectors.T, np.eye(len(values)), atol=1e-12)
    assert np.abs(values[:10] / exact - 1).max() < 0.02
    outside = [url for url in visit.requests if not url.startswith((visit.base, "blob:", "data:"))]
    assert not outside
    assert not visit.problems
    visit.close()


def test_any_width_and_number_of_colours(visit: Visit) -> None:
    """Channels that are no multiple of four, one colour, another depth."""
    folded = fold(Generator(small(1, TutorialDCGAN(3, 5, 1, 2)), 3))
    weights = folded.numbers()
    latent = torch.tensor([0.3, -1.0, 0.5])
    image, metric = reference(folded, latent)
    given = {"latent": 3, "widths": folded.widths, "weights": encoded(weights)}
    found = visit.page.evaluate(
        """([given, latent]) => {
            const place = new geomlibLive.Place(new geomlibLive.Network(given));
            const image = [...place.move(latent)];
            const pushed = [[1, 0, 0], [0, 1, 0], [0, 0, 1]].map((unit) => place.push(unit));
            return [image, pushed.map((a) => pushed.map((b) => (2 / a.length) * geomlibLive.dot(a, b)))];
        }""",
        [given, latent.tolist()],
    )
    assert np.abs(np.array(found[0]) - image).max() < 1e-5
    assert np.abs(np.array(found[1]) - metric).max() < 1e-4 * np.abs(metric).max()


def test_half_precision_is_read_exactly(visit: Visit) -> None:
    values = torch.tensor([0.0, -0.0, 1.0, -2.5, 65504.0, 6.1e-5, 5.96e-8, -3.1e-6, 0.333]).half()
    read = visit.page.evaluate("(text) => [...geomlibLive.float16(text)]", encoded(values))
    assert read == values.double().tolist()
    assert base64.b64decode(encoded(values)) == values.numpy().astype("<f2").tobytes()


def test_times(visit: Visit) -> None:
    """An image in 80 ms, an ellipse in 200; the least of several, and longer where others use the machine."""
    busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    codes = load_generator(DCGAN).sample(8, 3).tolist()
    axes = torch.eye(64)[:2].tolist()
    assert min(visit.ask("image", {"latent": code})["spent"] for code in codes) < 80 * busy
    assert min(visit.ask("plane", {"latent": code, "axes": axes})["spent"] for code in codes) < 200 * busy


def pixels(page: Page) -> list[int]:
    return page.evaluate(
        """() => {
            const canvas = document.querySelector('[data-live="image"]');
            return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
        }"""
    )  # type: ignore[no-any-return]


def settle(page: Page, x: float, y: float) -> None:
    """Go somewhere and wait until all has followed."""
    page.evaluate("(steps) => geomlibLive.explorer.go(steps).then(() => 0)", [x, y])


def test_the_last_frame_is_drawn(visit: Visit) -> None:
    page = visit.page
    settle(page, 2.0, -1.0)
    wanted, oval = pixels(page), page.get_attribute('[data-live="pad"] .live-ellipse', "d")
    settle(page, 0, 0)
    assert pixels(page) != wanted
    page.evaluate(
        """async () => {
            const going = [];
            for (let i = 0; i < 40; i++) {
                going.push(geomlibLive.explorer.go([-2 + 4 * Math.random(), 0]));
                await new Promise((resolve) => setTimeout(resolve, 3));
            }
            await Promise.all([...going, geomlibLive.explorer.go([2, -1])]);
        }"""
    )
    assert pixels(page) == wanted
    assert page.get_attribute('[data-live="pad"] .live-ellipse', "d") == oval


def test_keyboard_and_pointer_move_the_image(visit: Visit) -> None:
    page = visit.page
    settle(page, 0, 0)
    before = pixels(page)
    page.focus("#live-x")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("geomlibLive.explorer.here[0] === 0.5")
    assert page.get_attribute("#live-x", "aria-valuetext") == "0.5"
    assert pixels(page) != before
    assert page.text_content('[data-live="distance"]') != "Distance from the code's image: 0."
    pad = page.locator('[data-live="pad"] > svg')
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] * 0.2, steps=4)
    page.mouse.up()
    x, y = float(page.input_value("#live-x")), float(page.input_value("#live-y"))
    assert x > 1
    assert y > 1
    page.wait_for_function("(x) => geomlibLive.explorer.here[0] === x", arg=x)
    page.wait_for_function("""() => document.querySelector('[data-live="told"]').textContent.startsWith("Image at")""")
    page.click('[data-live="back"]')
    assert page.input_value("#live-x") == page.input_value("#live-y") == "0"


def test_touch_reaches_the_pad(browser: Browser, root: Path) -> None:
    visit = Visit(browser, root, "", has_touch=True, viewport={"width": 375, "height": 800})
    page = visit.start()
    pad = page.locator('[data-live="pad"] > svg')
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box
    page.touchscreen.tap(box["x"] + box["width"] * 0.8, box["y"] + box["height"] * 0.3)
    assert float(page.input_value("#live-x")) > 1
    assert pad.evaluate("(one) => getComputedStyle(one).touchAction") == "none"
    assert page.evaluate("getComputedStyle(document.body).touchAction") == "auto"
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    assert not visit.problems
    visit.close()


def test_the_spectrum_can_be_stopped_and_gives_axes(visit: Visit) -> None:
    page = visit.page
    page.select_option("#live-code", "2")
    page.click('[data-live="whole"]')
    page.wait_for_selector('[data-live="stop"]', state="visible")
    page.click('[data-live="stop"]')
    page.wait_for_function("""document.querySelector('[data-live="done"]').textContent === "Stopped." """)
    assert page.is_enabled('[data-live="whole"]')
    page.select_option("#live-family", "here")
    page.wait_for_function("geomlibLive.explorer.family.key === 'here'")
    assert "of 64 axes hold 99" in (page.text_content('[data-live="shares"]') or "")
    assert page.is_hidden('[data-live="stop"]')
    found = page.evaluate(
        """async () => {
            const { client, code, family, spectra } = geomlibLive.explorer;
            const { values } = await client.ask("strengths", { latent: code, axes: family.axes });
            return [values, spectra.get(code).values.slice(0, values.length)];
        }"""
    )
    assert np.allclose(found[0], found[1], rtol=1e-5)
    page.select_option("#live-family", "average")
    page.select_option("#live-code", "0")


def test_what_was_computed_beforehand_says_so(visit: Visit) -> None:
    labels = visit.page.locator("#live-family option").all_text_contents()
    assert labels == [
        "metric under st-lpips-alex, average (computed beforehand)",
        "principal components of the images (computed beforehand)",
        "SeFa, from the first weights (computed beforehand)",
        "random",
        "metric at this code, under mse (computed in your browser)",
    ]
    told = visit.page.text_content('[data-live="source"]') or ""
    assert "cannot compute that distance" in told
    assert "averaged over 1 places" in told
    assert "Licence: MIT" in (visit.page.text_content('[data-live="licence"]') or "")
    generator = load_generator(DCGAN)
    sefa = geomlib.directions.sefa(generator, 10).axes.T
    shipped = visit.page.evaluate("geomlibLive.explorer.network.families[2].axes.map((axis) => [...axis])")
    assert np.allclose(shipped, sefa, atol=1e-6)


def test_controls_have_names(visit: Visit) -> None:
    nameless = visit.page.evaluate(
        """() => ["select", "input", "button", "canvas", "div > svg"]
            .flatMap((kind) => [...document.querySelectorAll(`.live ${kind}`)])
            .filter((one) => !(one.labels?.length || one.matches("button") && one.textContent.trim()
                || one.getAttribute("aria-label")))
            .map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert not nameless


# The playground


def test_geodesics_of_the_sphere_are_great_circles(visit: Visit) -> None:
    ends = [[[-2.6, 0.7], [-0.5, 0.7]], [[-3.0, 0.2], [3.0, -0.4]], [[0.0, 1.2], [2.5, 1.0]]]
    lengths = visit.page.evaluate(
        "(ends) => ends.map(([a, b]) => geomlibLive.geodesic(geomlibLive.surfaces.sphere, a, b).length)", ends
    )
    for [(long_a, lat_a), (long_b, lat_b)], length in zip(ends, lengths, strict=True):
        cosine = math.sin(lat_a) * math.sin(lat_b) + math.cos(lat_a) * math.cos(lat_b) * math.cos(long_a - long_b)
        assert length == pytest.approx(math.acos(cosine), rel=1e-3)


def test_geodesics_of_the_plane_are_straight(visit: Visit) -> None:
    found = visit.page.evaluate(
        "geomlibLive.geodesic(geomlibLive.surfaces.polar, [-1.5, 1.5], [0.3, 0.8])"  # in polar coordinates
    )
    chord = math.sqrt(1.5**2 + 0.8**2 - 2 * 1.5 * 0.8 * math.cos(1.8))
    assert found["length"] == pytest.approx(chord, rel=1e-4)


def test_metrics_are_those_of_the_surfaces(visit: Visit) -> None:
    """Against central differences of the points, and the torus against that of geomlib."""
    checked = visit.page.evaluate(
        """() => Object.values(geomlibLive.surfaces).map((surface) => {
            const place = surface.ranges.map(([low, high]) => low + 0.3 * (high - low));
            const columns = [0, 1].map((axis) => {
                const [more, less] = [1e-5, -1e-5].map((step) =>
                    surface.point(place.map((value, i) => value + (i === axis ? step : 0))));
                return more.map((value, i) => (value - less[i]) / 2e-5);
            });
            return [columns, geomlibLive.pulledBack(surface, place)];
        })"""
    )
    for columns, metric in checked:
        J = np.array(columns).T
        assert np.allclose(J.T @ J, metric, atol=1e-8)
    torus: Any = load_generator("torus")
    here = visit.page.evaluate("geomlibLive.pulledBack(geomlibLive.surfaces.torus, [0.4, 0.9])")
    assert np.allclose(here, torus.first_fundamental_form(torch.tensor([0.9, 0.4])).numpy()[::-1, ::-1], atol=1e-6)


def test_points_are_dragged_and_moved_by_keys(visit: Visit) -> None:
    page = visit.page
    page.select_option("#live-surface", "hill")
    numbers = page.text_content('[data-live="numbers"]')
    page.locator("#live-playground").scroll_into_view_if_needed()
    handle = page.locator('[data-live="map"] .live-Q').bounding_box()
    assert handle
    page.mouse.move(handle["x"] + 7, handle["y"] + 7)
    page.mouse.down()
    page.mouse.move(handle["x"] - 30, handle["y"] - 40, steps=3)
    page.mouse.up()
    assert page.evaluate("geomlibLive.playground.ends[0]") == [-1.1, -0.3], "P has not moved"
    assert page.evaluate("geomlibLive.playground.ends[1][1]") > 0.2
    dragged = page.text_content('[data-live="numbers"]')
    assert dragged != numbers
    page.focus("#live-P1")
    page.keyboard.press("ArrowRight")
    assert page.text_content('[data-live="numbers"]') != dragged
    assert page.evaluate("geomlibLive.playground.ends[0][1]") == pytest.approx(-0.29)
    assert page.get_attribute("#live-P1", "aria-valuetext") == "−0.29"


# Without the script, and on paper


def test_still_pictures_stand_in(browser: Browser, root: Path) -> None:
    visit = Visit(browser, root, "", java_script_enabled=False)
    page = visit.page
    stills = page.locator(".live-still img, .live-still-surface img")
    assert stills.count() == 3
    assert all(one.is_visible() and one.get_attribute("alt") for one in stills.all())
    assert not page.locator(".live:visible, #live-start:visible").count()
    visit.close()


def test_print_shows_still_pictures(visit: Visit) -> None:
    page = visit.page
    assert not page.locator(".live-still:visible, .live-still-surface:visible").count()
    page.emulate_media(media="print")
    assert page.locator(".live-still:visible, .live-still-surface:visible").count() == 3
    assert not page.locator(".live:visible").count()
    page.emulate_media(media="screen")


def test_nothing_moves_by_itself(browser: Browser, root: Path) -> None:
    visit = Visit(browser, root, "", reduced_motion="reduce")
    page = visit.start()
    styles = "(all) => all.map((one) => getComputedStyle(one)).map((of) => [of.transitionDuration, of.animationName])"
    found = page.locator(".live, .live *").evaluate_all(styles)
    assert len(found) > 40 and all(one == ["0s", "none"] for one in found)
    before = page.evaluate("geomlibLive.explorer.client.count")
    page.wait_for_timeout(600)
    assert page.evaluate("geomlibLive.explorer.client.count") == before, "nothing is computed unasked"
    visit.close()


def test_a_missing_network_is_told(browser: Browser, root: Path) -> None:
    visit = Visit(browser, root, "")
    visit.page.evaluate("geomlibLive.networks[0].file = 'none.js'")
    visit.page.click("#live-start")
    visit.page.wait_for_function("""document.querySelector('[data-live="status"]').textContent.includes("cannot be")""")
    assert visit.page.is_enabled("#live-start")
    visit.close()
