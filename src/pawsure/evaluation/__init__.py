"""Figures that can be believed: metrics, intervals, paired comparison. NumPy only."""
