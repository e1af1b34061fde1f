"""Programs that the verifier is tested with: hostile ones and honest ones."""
