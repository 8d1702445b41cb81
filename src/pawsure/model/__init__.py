"""The model file as it is used: what it says of itself, the predictor, its answers."""
