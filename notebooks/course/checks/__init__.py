"""Check cells of the exercises: they say in words what is right or wrong, never the solution."""

# ruff: noqa: F401
from .capstone import check_capstone
from .notebook_00 import check_00_1, check_00_2
from .notebook_01 import check_01_1, check_01_2, check_01_3, check_01_4, reflect_01
from .notebook_02 import check_02_1, check_02_2, check_02_3, check_02_4, recall_02, reflect_02
from .notebook_03 import (
    check_03_1,
    check_03_2,
    check_03_4,
    check_03_5,
    check_03_6,
    check_03_7,
    recall_03,
    reflect_03,
)
from .notebook_04 import check_04_1, check_04_2, check_04_3, recall_04, reflect_04
from .notebook_05 import (
    check_05_1,
    check_05_2,
    check_05_3,
    check_05_4,
    recall_05,
    reflect_05,
)
from .notebook_06 import (
    check_06_1,
    check_06_2,
    check_06_3,
    check_06_4,
    check_06_5,
    check_06_6,
    recall_06,
    reflect_06,
)
