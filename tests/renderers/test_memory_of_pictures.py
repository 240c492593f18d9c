"""What a picture takes of memory stays for the next one."""

from __future__ import annotations

import subprocess
import sys

DRAWS = """
import resource
from renderers.camera import fit
from renderers.show import Show
from renderers.vtk_window import open_window
from renderers.wall.sample import events

show = Show(open_window(1280, 720))
for event in events():
    show.happen(event, 0.0)
camera = fit(1280, 720)
# What glibc does by itself begins after a hundred pictures.
for _ in range(140):
    show.draw(camera, 1280, 720)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    show.draw(camera, 1280, 720)
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 20)
"""


def test_a_picture_asks_the_kernel_for_no_pages_again_and_again() -> None:
    done = subprocess.run([sys.executable, "-c", DRAWS], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    # Two thousand before, each of them cleared by the kernel.
    assert int(done.stdout.split()[-1]) < 200
