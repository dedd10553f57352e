"""The verbs by which a notebook leaves its results: figures, numbers, arrays, claims, provenance.

Everything is written at once, into one folder, and nothing in it depends on the time or the machine's paths. Outside a
notebook the same verbs write the same files and display nothing.
"""

import base64
import html
import io
import json
import math
import os
import sys
import time
import wave
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geomlib._arguments import checked
from geomlib._checks import as_count, shown
from geomlib._markdown import without_tags
from geomlib._progress import Progress
from geomlib.findings.intervals import Interval
from geomlib.findings.rules import AxesJudged, Count, Judgement, claimed_side, identity, verdict

PROGRESS_FILE = "GEOMLIB_PROGRESS"  # environment variable; set by the runner, read by the notebook's kernel
_LONGEST_NAME = 100  # letters
COMPARISON = ("claim", "authors", "source", "ours", "verdict")


class DoesNotApply(Exception):  # noqa: N818 - not an error: the way in which a notebook ends early
    """Ends a notebook that needs what its generator has not; the runner turns it into a note on the page."""

    def _render_traceback_(self) -> list[str]:
        return [f"Does not apply: {self}"]


class Results:
    """A folder that holds what one notebook found: ``summary.json``, ``arrays.npz``, a PNG and a CSV per figure.

    Args:
        folder: where to write; made when missing.
    """

    @checked()
    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(error.errno, f"folder: cannot write {folder} ({error.strerror or error})") from error
        self.summary: dict[str, Any] = {"numbers": {}, "figures": {}, "tables": {}, "comparison": []}
        self._arrays: dict[str, np.ndarray] = {}
        self.network = "yours"  # whose network it is: `claims.kind_of`
        self._write()

    @checked()
    def figure(self, name: str, figure: Any, *, caption: str, alt: str, dpi: int = 200) -> None:
        """Save a matplotlib figure as ``<name>.png``, opaque and byte-stable, and display it; one figure per cell.

        What it draws by numbers goes into ``<name>.csv`` beside it, see `figures.data`; a figure of pictures has none.

        Args:
            name: file name without ending; in the book the figure's label is ``fig-<experiment>-<name>``.
            figure: closed afterwards, so that the notebook does not show it twice.
            caption: states the finding; may be MyST and hold computed numbers.
            alt: what a reader who cannot see the figure needs to know; plain text.
            dpi: pixels per inch of the file.

        Raises:
            ValueError: an empty caption or alt, a name that is no plain file name or is used twice.
            TypeError: a figure of another kind.
        """
        for key, text in {"caption": caption, "alt": alt}.items():
            if not text.strip():
                raise ValueError(f"figure {name!r}: {key} is empty")
        _check_name("figure", name)
        as_count("dpi", dpi)
        if not hasattr(figure, "savefig"):
            raise TypeError(f"figure: expected a figure of Matplotlib, got {shown(figure)}")
        if name in self.summary["figures"] and not _at_work():
            raise ValueError(f"figure name {name!r} is used twice")
        content = _png(figure, dpi)
        data = self._data(name, figure)
        _close(figure)
        (self.folder / f"{name}.png").write_bytes(content)
        caption, alt = without_tags(" ".join(caption.split())), " ".join(alt.split())
        self.summary["figures"][name] = {"caption": caption, "alt": alt}
        self._write()
        width = int.from_bytes(content[16:20], "big")  # PNG header; shown at its size in print
        _display(
            {"image/png": base64.b64encode(content).decode(), "text/plain": f"{caption}"},
            {"image/png": {"alt": alt, "width": round(width * 96 / dpi)}, "geomlib": {"figure": name} | data},
        )
        if _at_work():  # the book sets the caption below the figure; who works in a notebook reads it here
            _display({"text/markdown": caption, "text/plain": caption}, {})

    def _data(self, name: str, figure: Any) -> dict[str, str]:
        """Write what a figure draws by numbers; what a link to it says, by the key `data`."""
        from geomlib.figures import data

        rows, step = data.thinned(data.table(figure))
        if not rows:
            return {}
        (self.folder / f"{name}.csv").write_text(data.to_csv(rows), encoding="utf-8", newline="\n")
        return {"data": "data (CSV)" if step == 1 else f"data (CSV, one row in {step})"}

    @checked(gaps=("waveform",))
    def audio(self, name: str, waveform: Any, rate: int, *, caption: str) -> None:
        """Save a waveform `(L,)` in [-1, 1] as ``<name>.wav``, 16 bits, and show a player with its caption.

        Raises:
            ValueError: an empty caption, a waveform of another shape, or a name that is no plain file name.
            TypeError: a waveform that is no array of numbers.
            FloatingPointError: a waveform that is not finite.
        """
        _check_name("audio", name)
        as_count("rate", rate)
        try:
            samples = np.asarray(waveform.detach().cpu() if hasattr(waveform, "detach") else waveform, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise TypeError(f"waveform: expected numbers (L,), got {shown(waveform)}") from error
        if samples.ndim != 1 or not caption.strip():
            raise ValueError(f"audio {name!r}: expected a waveform (L,) and a caption, got shape {samples.shape}")
        if not np.isfinite(samples).all():
            raise FloatingPointError(f"audio {name!r}: the waveform is not finite")
        stream = io.BytesIO()
        with wave.open(stream, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes((samples.clip(-1, 1) * 32767).round().astype("<i2").tobytes())
        (self.folder / f"{name}.wav").write_bytes(stream.getvalue())
        sound = f"data:audio/wav;base64,{base64.b64encode(stream.getvalue()).decode()}"
        text = html.escape(" ".join(caption.split()))
        player = f'<audio controls aria-label="{html.escape(name)}" src="{sound}"></audio>'
        caption = f"<figcaption><p>{text}</p></figcaption>"
        _display({"text/html": f"<figure>{player}{caption}</figure>", "text/plain": text}, {})

    def number(self, **values: Any) -> None:
        """Add numbers, words, truths or short lists of them to the summary.

        The names can be glued into prose: ``{glue:text}`name:.2f```.  Of a mapping, each entry is a number of its own:
        ``log={"mean": 0.9}`` is ``log_mean``.

        Raises:
            FloatingPointError: a value that is not finite; None says that there is no value.
            TypeError: a value that JSON does not know.
        """
        plain = {key: _plain(key, value) for key, value in _flat(values)}
        self.summary["numbers"] |= plain
        self._write()
        for key, value in plain.items():
            glue = {"name": key, "mime_prefix": "application/papermill.record/"}  # the form that MyST-NB reads
            _display({"application/papermill.record/text/plain": repr(value)}, {"scrapbook": glue})

    def array(self, **arrays: Any) -> None:
        """Add arrays or tensors to ``arrays.npz``; NaN is kept.

        Raises:
            TypeError: a value that is no array of numbers.
        """
        for key, value in arrays.items():
            array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
            if array.dtype.kind not in "biufcU":
                raise TypeError(f"array {key!r}: expected numbers, got {array.dtype}")
            self._arrays[key] = array
        np.savez_compressed(self.folder / "arrays.npz", allow_pickle=False, **dict(sorted(self._arrays.items())))

    @checked()
    def claim(
        self,
        claim: str,
        *,
        ours: Any,
        authors: Any = None,
        source: str = "not given",
        above: float | None = None,
        below: float | None = None,
        units: int | None = None,
        tested: str = "",
        tolerance: float | None = None,
        rule: str = "",
        distance: str = "",
    ) -> str:
        """Record a claim with its number, source and verdict, which is returned; `claims` shows those recorded.

        Args:
            claim: one sentence, or the quantity that it is about.
            ours: what this run finds: a `Judgement`, `AxesJudged` or `Count` of `rules`, which brings its own word, an
                `Interval`, a number, or words with numbers.
            authors: their working value, None where none was seen.
            source: where they say it.
            above: `ours` is an `Interval` that should lie above this value.
            below: or below this one.
            units: how many latents, targets or units an `Interval` rests on; fewer than ten are not comparable.
            tested: the test that holds an identity; the verdict of this run follows from `tolerance`.
            tolerance: of an identity, whose error in this run is `ours`.
            rule: what had to hold, where the sentence does not say it.
            distance: that the claim is about, where it is not the run's.

        Raises:
            FloatingPointError: a value that is not finite.
            TypeError: see `rules.verdict`.
            ValueError: see `rules.identity`; an identity without its tolerance, or a tolerance without the test.
        """
        if bool(tested) != (tolerance is not None):
            raise ValueError(f"claim {claim!r}: an identity needs both tested and tolerance")
        if isinstance(ours, Judgement | AxesJudged | Count):
            word = ours.word
        elif tolerance is not None:
            word = identity(float(ours), tolerance)
        else:
            word = verdict(ours=ours, above=above, below=below, units=units)
        sides = [f"the interval lies above {above:g}"] if above is not None else []
        sides += [f"the interval lies below {below:g}"] if below is not None else []
        sides += [ours.rule] if isinstance(ours, Judgement) else []
        row = dict(zip(COMPARISON, (claim, authors, source, _told(ours), word), strict=True))
        row |= {"rule": tested or rule or "; ".join(sides), "network": self.network}
        row |= {} if tolerance is None else {"tolerance": tolerance}
        shown = ours.worst[1] if isinstance(ours, Judgement) and ours.worst else ours
        if isinstance(shown, Interval):
            row |= {"value": shown.value, "low": shown.low, "high": shown.high}
        row |= {"distance": distance} if distance else {}
        row |= {} if units is None else {"units": units}
        if isinstance(ours, Judgement):
            row |= {"units": ours.units, "note": ours.note}
        plain = {key: _plain(key, value) for key, value in row.items()}
        intervals: Mapping[str, Interval] = ours.intervals if isinstance(ours, Judgement) else {}
        if isinstance(ours, Interval) and (above, below) != (None, None):
            intervals = {"": claimed_side(ours, above, below)}
        if intervals:
            plain |= {"intervals": {name: _plain("intervals", ends) for name, ends in intervals.items()}}
        self.summary["comparison"].append(plain)
        self._write()
        return word

    @checked()
    def claims(self, *, caption: str = "The paper and this run; intervals are 95 %") -> None:
        """Show the claims recorded so far as one table."""
        header = ["Claim", "Authors' working value", "Source", "Ours", "Verdict"]
        _show_table(caption, header, [[row[key] for key in COMPARISON] for row in self.summary["comparison"]])

    @checked()
    def finding(self, sentence: str, *beside: str) -> None:
        """Say in one sentence, with its number, what was found; it stands before the method.

        Args:
            sentence: the shorter the better.
            beside: what a reader has to know with it, as controls and contrary results: a list below; empty ones are
                left out.

        Raises:
            ValueError: an empty sentence.
        """
        if not sentence.strip():
            raise ValueError("sentence: is empty")
        sentence, *more = (without_tags(text) for text in (sentence, *filter(None, beside)))
        self.summary |= {"finding": sentence, "beside the finding": more}
        self._write()
        rows = "".join(f"\n- {row}" for row in more)
        bundle = {"text/markdown": f"**What we found.** {sentence}\n{rows}", "text/plain": f"{sentence}{rows}"}
        _display(bundle, {})

    @checked()
    def table(self, caption: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Show a table; the summary keeps it, with all digits.

        Args:
            caption: what it shows; no other table has the same.
            header: one word or phrase a column.
            rows: words, numbers (shown with four digits), None for no value.

        Raises:
            ValueError: a caption that another table has.
        """
        if caption in self.summary["tables"] and not _at_work():
            raise ValueError(f"table {caption!r} is there twice")
        kept = [[_cell(value) for value in row] for row in rows]
        self.summary["tables"][caption] = {"header": [_cell(word) for word in header], "rows": kept}
        self._write()
        _show_table(caption, header, rows)

    @checked()
    def records(self, caption: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Show a table whose header are the keys of its rows; a key that a row lacks is no value.

        Args:
            caption: what it shows.
            rows: words, numbers (shown with four digits), None for no value, by column.

        Raises:
            TypeError: a row that is no mapping.
            ValueError: a caption that another table has.
        """
        rows = list(rows)
        if not all(isinstance(row, Mapping) for row in rows):
            raise TypeError("rows: expected mappings of columns to values, got others")
        header = list(dict.fromkeys(key for row in rows for key in row))
        self.table(caption, header, [[row.get(key) for key in header] for row in rows])

    @checked()
    def does_not_apply(self, reason: str) -> None:
        """Record why this experiment has no meaning for this generator, and end the notebook there, without error.

        Raises:
            DoesNotApply: always; the runner knows it.
        """
        self.summary["does_not_apply"] = reason
        self._write()
        raise DoesNotApply(reason)

    def provenance(self, *, generator: Any, distance: Any = "", **parameters: Any) -> None:
        """Show and store what the results rest on: generator, weights' hash, distance, and the parameters.

        Args:
            generator: a generator (its options and ``weights_hash`` are shown), or a name.
            distance: a distance, or a name.
            parameters: whatever else determines the results, the seed among them; no times.

        Raises:
            FloatingPointError: a parameter that is not finite.
        """
        spec = getattr(generator, "spec", None) or {}
        options = [f"{key}={one}" for key, one in spec.items() if key not in ("source", "space", "weights")]
        record = {
            "generator": str(getattr(generator, "name", generator)),
            **({"options": ", ".join(options)} if options else {}),
            "weights hash": str(getattr(generator, "weights_hash", "")) or None,
            "distance": str(getattr(distance, "name", distance)) or "default",
        } | {key: _plain(key, value) for key, value in parameters.items()}
        self.summary["provenance"] = record
        self._write()
        _show_table("Provenance", ["Quantity", "Value"], [[key, value] for key, value in record.items()])

    def _write(self) -> None:
        text = json.dumps(self.summary, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        (self.folder / "summary.json").write_text(text + "\n", encoding="utf-8", newline="\n")


@checked()
def progress(label: str) -> Progress:
    """A callable ``(done, total)`` that shows how far a computation is, and leaves nothing in the notebook.

    In a run it reaches the terminal through the runner; in a notebook or a terminal it updates one line.
    """
    target, last = os.environ.get(PROGRESS_FILE), 0.0

    def show(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done < total and now - last < 0.2:
            return
        last = now
        text = f"{label} {done}/{total}"
        if target:
            Path(target).write_text(text, encoding="utf-8")
        else:
            print(f"\r{text} ", end="\n" if done >= total else "", file=sys.stderr, flush=True)

    return show


def _check_name(what: str, name: str) -> None:
    """Raise `ValueError` unless a name is that of a plain file, which never leads out of the folder."""
    if not name.replace("-", "").replace("_", "").isalnum() or len(name) > _LONGEST_NAME:
        raise ValueError(f"{what} name {shown(name)}: use letters, digits, - and _ only, {_LONGEST_NAME} at most")


def _told(ours: Any) -> Any:
    """What a run found, as a table says it: an interval or a judgement in its own words, numbers as they are."""
    return str(ours) if isinstance(ours, Interval | Judgement | AxesJudged | Count) else ours


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Keys and values, those of a mapping inside under both keys."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat({f"{key}_{inner}": one for inner, one in value.items()})
        else:
            yield key, value


def _plain(key: str, value: Any) -> Any:
    """The value as JSON knows it: Python numbers, words, truths, None, and lists of them, as of an interval."""
    if isinstance(value, Interval):
        value = [value.value, value.low, value.high]
    if hasattr(value, "tolist"):  # numpy and torch, scalar or short list
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(key, one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise FloatingPointError(f"{key} is {value}; None says that there is no value")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{key}: expected a number, a word, a truth value or a list of them, got {type(value).__name__}")


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython")
    return shell is not None and getattr(shell.get_ipython(), "kernel", None) is not None


def _at_work() -> bool:
    """Someone at work in a notebook runs a cell again and again; in a run that is a mistake."""
    return _in_notebook() and PROGRESS_FILE not in os.environ


def _display(data: dict[str, str], metadata: dict[str, Any]) -> None:
    if _in_notebook():
        from IPython.display import display

        display(data, raw=True, metadata=metadata)


def _png(figure: Any, dpi: int) -> bytes:
    """The file of a figure.

    Matplotlib would draw it twice, the first time for its layout and the ends of what is drawn, which are had for less.
    """
    from matplotlib import rcParams
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    layout, canvas, usual, box = figure.get_layout_engine(), figure.canvas, figure.dpi, "tight"
    if layout is not None:
        figure.dpi = dpi
        renderer = FigureCanvasAgg(figure).get_renderer()
        layout.execute(figure)
        box = figure.get_tightbbox(renderer).padded(rcParams["savefig.pad_inches"])
        figure.dpi = usual
        figure.set_canvas(canvas)
        figure.set_layout_engine(None)
    stream = io.BytesIO()
    # no Software entry: it names the matplotlib version, and the file is compared byte by byte
    options = {"facecolor": "white", "transparent": False, "metadata": {"Software": None}}
    figure.savefig(stream, format="png", dpi=dpi, bbox_inches=box, **options)
    return stream.getvalue()


def _close(figure: Any) -> None:
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close(figure)


def _cell(value: Any) -> Any:
    """What a table holds, as JSON knows it: numbers as they are, all else in words, NaN as well."""
    value = value.item() if hasattr(value, "item") else value  # a scalar of torch or numpy
    number = isinstance(value, int | float) and math.isfinite(value)
    return value if value is None or number else str(value)


def _show_table(caption: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    def text(value: Any) -> str:
        value = _cell(value)
        if value is None:
            return "–"
        return html.escape(f"{value:.4g}" if isinstance(value, float) else str(value))

    head = "".join(f'<th scope="col">{text(cell)}</th>' if cell else "<td></td>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    parts = f"<caption>{text(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    plain = "\n".join(" | ".join(text(cell) for cell in row) for row in [header, *rows])
    # the book's theme knows the class dataframe: it leaves such a table readable in dark mode
    table = f'<div class="geomlib-table" tabindex="0"><table class="dataframe">{parts}</table></div>'
    _display({"text/html": table, "text/plain": plain}, {})
