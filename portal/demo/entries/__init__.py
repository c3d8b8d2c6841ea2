"""Entries made by simple real methods from a challenge's public files and nothing else."""
