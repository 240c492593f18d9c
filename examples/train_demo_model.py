"""Trains the network that ships with CaveCast, and says what it can do on days that it has never seen.

    python examples/train_demo_model.py -o rivers.keras          # about 25 minutes on two cores
    python examples/train_demo_model.py -o rivers.keras --judge  # only judge one that is there

It learns from the first 20 days of the sample ``rivers`` what CONNECT finds there (threshold 500, life time of at
least 24 h), and is judged on the last 10 days and on the flood of July 2021.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TWENTY_DAYS = "0:160"
VALIDATION = "136:160"
LEARN = [
    *("--connect", "500", "--min-duration-h", "24", "--interval", TWENTY_DAYS, "--validation", VALIDATION),
    *("--depth", "4", "--features", "8", "--fov", "9,17,17", "--deltas", "3,6,6", "--mean", "500", "--std", "100"),
    *("--batch", "16", "--learning-rate", "0.003", "--patience", "0", "--seed", "1"),
    # A likely step is gone wherever it is likelier than not; what does not touch becomes two objects.
    *("--set", "move=0.5", "--set", "segment=0.5", "--set", "min_segment_size=15", "--set", "connected=true"),
]
PROVENANCE = (
    "Trained by examples/train_demo_model.py on the first 20 days of CaveCast's sample rivers, a simulation with "
    "NeuralGCM's small stochastic demo model (weights CC BY-SA 4.0), with CONNECT labels; Apache-2.0."
)


def cavecast(*arguments: str) -> None:
    """Runs a command of CaveCast; ends with it if it fails."""
    command = shutil.which("cavecast", path=str(Path(sys.executable).parent)) or shutil.which("cavecast")
    if command is None:
        sys.exit("cavecast is not installed: pip install -e '.[worker]'")
    print("$ cavecast", *arguments, flush=True)
    if code := subprocess.run([command, *arguments], check=False).returncode:
        sys.exit(code)


def judge(model: Path) -> None:
    """Segments both samples and compares them with CONNECT; what the network has seen is left out."""
    with tempfile.TemporaryDirectory() as folder:
        for sample, life_h in (("rivers", "24"), ("flood2021", "0")):
            store = str(Path(folder) / f"{sample}.zarr")
            run = ["--segmenter", "ffn", "--set", f"model={model}", "--min-duration", life_h, "--chunk"]
            chunk = "80,64,64" if sample == "rivers" else "24,41,41"
            cavecast("run", f"sample:{sample}", *run, chunk, "--workers", "2", "--no-view", "--out", store)
            cavecast("ffn", "evaluate", store, f"sample:{sample}", "--connect", "500", "--min-duration-h", life_h)


def main() -> None:
    """Trains and judges."""
    asked = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    asked.add_argument("-o", "--out", type=Path, required=True, help="the model file to write")
    asked.add_argument("--minutes", default="25", help="how long to learn")
    asked.add_argument("--resume", action="store_true", help="go on with a training that was interrupted")
    asked.add_argument("--judge", action="store_true", help="do not train: the model is there")
    given = asked.parse_args()
    if not given.judge:
        more = ["--resume"] if given.resume else []
        cavecast(
            "ffn", "train", "sample:rivers", *LEARN, "--minutes", given.minutes, "--provenance", PROVENANCE,
            "-o", str(given.out), *more,
        )  # fmt: skip
    judge(given.out)


if __name__ == "__main__":
    main()
