"""The renderers of CaveCast: scenes drawn with VTK from what the streamer sends."""
