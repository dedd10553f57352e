"""Networks that read pictures and define no distance: what they say judges a metric from outside of it.

Both were trained by others, on photographs, and know nothing of our generators; `geomlib fetch` brings their weights.
"""

from geomlib.readers.checks import ReaderChecks, check_face_reader
from geomlib.readers.classifier import Classifier, load_classifier
from geomlib.readers.face import FaceReader, FaceReadings, load_face_reader

__all__ = [
    "Classifier",
    "FaceReader",
    "FaceReadings",
    "ReaderChecks",
    "check_face_reader",
    "load_classifier",
    "load_face_reader",
]
