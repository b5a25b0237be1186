"""Notebook 00."""

from . import Exercise

VALLEY, SUSPENSION_BRIDGE, DAM, SKI = 979, 839, 525, 795
ICE_BEAR, WHITE_WOLF, CLIFF = 296, 270, 972

EXERCISES = {
    "check_00_1": Exercise("bc", mistakes=["abc", "b", "c"]),
    "check_00_2": Exercise(
        VALLEY,
        mistakes=[ICE_BEAR, WHITE_WOLF, SKI, CLIFF, 1000, "snow"],
        also=[SUSPENSION_BRIDGE, DAM, "valley", "Suspension bridge", "suspension_bridge"],
    ),
}
