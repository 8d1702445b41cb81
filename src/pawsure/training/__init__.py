"""The whole story from data to model file: recipe, stages, the run."""
