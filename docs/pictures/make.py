"""Makes viewer.png, the README's picture: the real program's page while rivers is being computed.

How to run it, from the top of the repository and after ``make install``::

    .venv/bin/python docs/pictures/make.py

It starts ``cavecast demo``, opens its page in a headless Chromium (from the system's packages) at 1280×800 in
dark mode, waits until three chunks of five are done, and keeps what is seen.  The file has at most 400 KB: it is
reduced to a palette of 256 colours.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).parent / "viewer.png"
DONE = 0.6
MOST_BYTES = 400_000
FRESH = """() => document.querySelectorAll("#objects-table tbody tr").length > 0
  && document.getElementById("progress").getAttribute("aria-valuenow") >= %d"""


def photograph(address: str) -> bytes:
    """The page at ``address`` as PNG, once so much of the run is done."""
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    if browser_path is None:
        raise SystemExit("There is no Chromium: install the package chromium.")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="dark")
        page.goto(address)
        page.wait_for_function(FRESH % round(100 * DONE), timeout=120_000)
        picture: bytes = page.screenshot()
        browser.close()
    return picture


def small(picture: bytes) -> bytes:
    """The same PNG with a palette, in which a colour counts by the root of its pixels.

    By its pixels alone the dark background would take nearly all of the palette, and the objects go grey.
    """
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    pixels = np.asarray(image).reshape(-1, 3)
    _, kind, count = np.unique(pixels >> 3, axis=0, return_inverse=True, return_counts=True)
    mean = np.stack([np.bincount(kind.ravel(), pixels[:, i]) / count for i in range(3)], axis=1)
    sample = np.repeat(mean, np.sqrt(count).astype(int), axis=0).round().astype(np.uint8)
    palette = Image.fromarray(sample[None]).quantize(256, kmeans=3)
    out = io.BytesIO()
    image.quantize(palette=palette, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


def main() -> None:
    """Starts the demo, photographs it, ends it."""
    cavecast = Path(sys.executable).parent / "cavecast"
    with subprocess.Popen(
        [cavecast, "demo", "--sample", "rivers", "--segmenter", "connect"], stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stderr is not None
        try:
            found = None
            while found is None and (line := demo.stderr.readline()):
                found = re.search(r"http://\S+/view/\S+", line)
            if found is None:
                raise SystemExit("cavecast demo ended before it told its page's address.")
            made = small(photograph(found.group()))
        finally:
            demo.terminate()
    if len(made) > MOST_BYTES:
        raise SystemExit(f"The picture has {len(made)} bytes; at most {MOST_BYTES} are wanted.")
    PICTURE.write_bytes(made)
    print(f"{PICTURE}: {len(made)} bytes")


if __name__ == "__main__":
    main()
