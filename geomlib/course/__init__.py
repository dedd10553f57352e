"""The course: chapters with exercises, and the sheets that a class gets of them."""

from geomlib.course.grading import Mark, grade
from geomlib.course.handout import write
from geomlib.course.pages import collect
from geomlib.course.sheets import FOLDER, VERSIONS, chapters, sheet
from geomlib.course.times import minutes

__all__ = ["FOLDER", "VERSIONS", "Mark", "chapters", "collect", "grade", "minutes", "sheet", "write"]
