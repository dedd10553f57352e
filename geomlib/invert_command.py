"""The name under which `applications.pictures` is imported elsewhere."""

from geomlib.applications.pictures import *  # noqa: F403 - one module under two names
