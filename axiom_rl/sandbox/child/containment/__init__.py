"""What contains a candidate on Linux: each layer in a file, and `layers` that puts them on."""
