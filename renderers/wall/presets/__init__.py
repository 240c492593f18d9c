"""Walls that ship with CaveCast, and the JSON Schema of wall files: data, no code."""
