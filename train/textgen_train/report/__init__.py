"""Reports of a training run: the progress display, and the files next to the model."""
