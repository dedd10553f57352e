"""The name under which `findings.results` is imported elsewhere."""

from geomlib.findings.results import *  # noqa: F403 - one module under two names
