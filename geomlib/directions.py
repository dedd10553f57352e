"""The name under which `applications.directions` is imported elsewhere."""

from geomlib.applications.directions import *  # noqa: F403 - one module under two names
