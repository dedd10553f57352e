"""The name under which `book.parameters` is imported elsewhere."""

from geomlib.book.parameters import *  # noqa: F403 - one module under two names
