"""The components by the room of the package that they belong to."""
