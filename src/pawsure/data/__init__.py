"""Where pictures come from, and the one way in to all that uses them."""
