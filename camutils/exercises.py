"""Check cells of the exercises: they say in words what is right or wrong, and never the solution.

An answer that is not there yet (`...` or None) prints "not yet" and raises nothing.
"""

# --- 00 ---

# --- 01 ---

# --- 02 ---

# --- 03 ---

# --- 04 ---
