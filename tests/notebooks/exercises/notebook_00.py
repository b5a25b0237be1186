"""Notebook 00."""

from camutils import grad_cam, normalize_map

from . import CLASSIFIER, Exercise, X

TOP, WOLF = (grad_cam(CLASSIFIER.model, "1", X, c).maps[0, 0] for c in (None, 270))

EXERCISES = {
    "check_00_1": Exercise(32, mistakes=[7, 1024, 33]),
    "check_00_2": Exercise(0, mistakes=[1, 0.8, 2]),
    "check_00_3": Exercise(WOLF, (CLASSIFIER, X), mistakes=[TOP, normalize_map(WOLF), 2 * WOLF]),
}
