"""Training, thin on TRL."""
