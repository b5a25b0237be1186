"""What only the course needs; the core of camutils imports nothing of it."""
