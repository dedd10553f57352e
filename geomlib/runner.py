"""The name under which `book.runner` is imported elsewhere."""

from geomlib.book.runner import *  # noqa: F403 - one module under two names
