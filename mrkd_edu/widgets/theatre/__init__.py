"""The training theatre: a student that is watched while it learns."""
