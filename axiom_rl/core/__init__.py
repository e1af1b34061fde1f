"""What everybody uses and stands on: types, files, errors, progress; standard library only."""
