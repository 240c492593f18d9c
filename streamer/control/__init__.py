"""The control plane: starts runs, watches their parts, and answers browsers and scripts over HTTP."""
