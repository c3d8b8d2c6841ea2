"""Measured claims: ours beside what a user would pick, in one run."""
