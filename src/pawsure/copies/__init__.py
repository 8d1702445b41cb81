"""Copies: which pictures are the same as others, or nearly, and where splits share them."""
