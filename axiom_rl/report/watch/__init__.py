"""The runs of outputs/ in a browser, while they go on: `stage=watch`."""
