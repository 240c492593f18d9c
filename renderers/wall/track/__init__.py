"""Trackers: bytes of devices become records, records become the head and the wand, the wand changes the view."""
