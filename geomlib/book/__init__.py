"""The machine that runs notebooks and builds the book; nothing in it computes a result."""
