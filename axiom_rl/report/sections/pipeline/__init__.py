"""What the steps of a pipeline did to the model."""
