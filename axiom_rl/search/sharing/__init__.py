"""Sharing samples among problems by need: few where the samples agree, more where none survives."""
