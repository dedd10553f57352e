"""Draws the rooms of geomlib and who imports whom, from the imports themselves, into book/_static/architecture.svg.

    python book/draw_architecture.py

Rooms stand on the floors of ROOMS in tests/test_structure.py.  An arrow that a longer way already tells is left out,
and so are those to the ground floor, which everything may import.
"""

import ast
from collections.abc import Mapping
from html import escape
from pathlib import Path

ROOT = Path(__file__).parent.parent
PICTURE = Path("book") / "_static" / "architecture.svg"
# The order in which the architecture page reads them; each carries its number.
READING = ("metric", "operators", "derivatives", "eigen", "spectrum", "homogeneity")
WIDTH, FLOOR_HEIGHT, BOX_HEIGHT, MARGIN = 860, 84, 40, 16

STYLE = """
text { font: 15px system-ui, sans-serif; fill: #1b1f24; text-anchor: middle; dominant-baseline: central }
.room { fill: #ffffff; stroke: #57606a }
.read { fill: #d6e8fb; stroke: #0b5cad; stroke-width: 2 }
.ground { fill: #eceff2; stroke: none }
.arrow { fill: none; stroke: #57606a; stroke-width: 1.2; marker-end: url(#tip) }
"""


def floors(root: Path) -> list[tuple[str, ...]]:
    """The rooms of each floor, from the ground up, as the test of the structure lists them."""
    for node in ast.parse((root / "tests" / "test_structure.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ROOMS":
            return list(ast.literal_eval(node.value))
    raise ValueError("tests/test_structure.py: expected an assignment to ROOMS")


def imports(root: Path, rooms: set[str]) -> dict[str, set[str]]:
    """The rooms that each room imports, also inside of functions and for types alone."""
    needs: dict[str, set[str]] = {room: set() for room in rooms}
    for path in sorted((root / "geomlib").rglob("*.py")):
        room = path.relative_to(root / "geomlib").parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if room in rooms else ():
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "geomlib":
                first = (node.module or "").split(".")[1:2] or [alias.name for alias in node.names]
                needs[room] |= rooms & set(first) - {room}
    return needs


def shortest(needs: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The same without an arrow from one room to another that is reached by way of a third one, too."""

    def reached(room: str) -> set[str]:
        return needs[room].union(*map(reached, needs[room]))

    return {room: direct - set().union(*map(reached, direct)) for room, direct in needs.items()}


def places(storeys: list[tuple[str, ...]], arrows: Mapping[str, set[str]]) -> dict[str, tuple[float, float]]:
    """The middle of each room: on its floor, above what it imports where there is a choice."""
    middles: dict[str, tuple[float, float]] = {}
    for floor, rooms in enumerate(storeys):
        y = MARGIN + (len(storeys) - 1 - floor) * FLOOR_HEIGHT + BOX_HEIGHT / 2
        below = {room: [middles[other][0] for other in arrows[room] if other in middles] for room in rooms}
        wish = {room: sum(xs) / len(xs) if xs else WIDTH / 2 for room, xs in below.items()}
        for index, room in enumerate(sorted(rooms, key=lambda room: wish[room])):
            middles[room] = wish[room] if len(rooms) == 1 else WIDTH * (index + 0.5) / len(rooms), y
    return middles


def draw(root: Path) -> str:
    """The picture as SVG, with a light ground of its own so that it reads on a dark page, too."""
    ground, *storeys = floors(root)
    arrows = shortest(imports(root, {room for rooms in storeys for room in rooms}))
    middles = places(storeys, arrows)
    height = len(storeys) * FLOOR_HEIGHT + BOX_HEIGHT + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        "<title>The rooms of geomlib, floor by floor, and which imports which</title>",
        f"<style>{STYLE}</style>",
        '<marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#57606a"/></marker>',
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#f6f8fa"/>',
    ]
    for room in sorted(arrows):
        for other in sorted(arrows[room]):
            (x, y), (left, low) = middles[room], middles[other]
            start, end = y + BOX_HEIGHT / 2, low - BOX_HEIGHT / 2 - 1
            bend = (end - start) / 2
            curve = f"M{x:.0f} {start:.0f}C{x:.0f} {start + bend:.0f} {left:.0f} {end - bend:.0f} {left:.0f} {end:.0f}"
            parts.append(f'<path class="arrow" d="{curve}"/>')
    for room, (x, y) in middles.items():
        name = f"{READING.index(room) + 1}  {room}" if room in READING else room
        wide, kind = 9 * len(name) + 24, "read" if room in READING else "room"
        box = f'x="{x - wide / 2:.0f}" y="{y - BOX_HEIGHT / 2:.0f}" width="{wide}" height="{BOX_HEIGHT}" rx="6"'
        parts.append(f'<rect class="{kind}" {box}/><text x="{x:.0f}" y="{y:.0f}">{escape(name)}</text>')
    top = height - BOX_HEIGHT - MARGIN / 2
    box = f'x="{MARGIN}" y="{top:.0f}" width="{WIDTH - 2 * MARGIN}" height="{BOX_HEIGHT}" rx="6"'
    words = "used by all: " + ", ".join(sorted(ground))
    parts.append(f'<rect class="ground" {box}/><text x="{WIDTH // 2}" y="{top + BOX_HEIGHT / 2:.0f}">{words}</text>')
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    (ROOT / PICTURE).write_text(draw(ROOT), encoding="utf-8", newline="\n")
    print(PICTURE)
