"""Where pictures come from, and the one preprocessing for all that uses them."""
