"""The name under which `applications.inversion` is imported elsewhere."""

from geomlib.applications.inversion import *  # noqa: F403 - one module under two names
