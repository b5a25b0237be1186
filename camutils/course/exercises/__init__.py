"""Check cells of the exercises: they say in words what is right or wrong, never the solution."""

from .answers import *  # noqa: F403
