"""Walls: screens in a room, the nodes and tiles that fill them, the head in front of them."""
