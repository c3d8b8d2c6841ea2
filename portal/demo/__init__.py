"""Demonstration challenges on real or openly synthetic data; imported by the command line only."""
