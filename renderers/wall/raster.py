"""SVG to PNG, by resvg; the one module that knows it."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def png(svg: str) -> bytes:
    """The picture of an SVG at its own size.  Raises ImportError with a sentence where resvg is not installed."""
    try:
        import resvg_py
    except ImportError:
        raise ImportError(
            "PNG needs the package resvg-py: pip install 'cavecast[render]', or draw an .svg instead"
        ) from None
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, font_dirs=_fonts()))


def _fonts() -> list[str]:
    """Letters for machines without any: those that come with matplotlib, which PyVista brings."""
    found = importlib.util.find_spec("matplotlib")
    if found is None or found.origin is None:
        return []
    return [str(Path(found.origin).parent / "mpl-data" / "fonts" / "ttf")]
