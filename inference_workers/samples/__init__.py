"""The samples that ship with CaveCast: small volumes to try it on.  Where they come from: PROVENANCE.md."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple


class Sample(NamedTuple):
    """A volume in the package."""

    name: str
    variable: str
    threshold: float
    title: str
    provenance: str
    """Source and licence, in a sentence."""

    @property
    def path(self) -> Path:
        """Its file."""
        return Path(__file__).parent / f"{self.name}.nc"


SAMPLES = (
    Sample(
        "rivers",
        "ivt",
        500.0,
        "A month of global water-vapour transport (simulation)",
        "Simulated with NeuralGCM's small stochastic demo model (weights CC BY-SA 4.0) from ERA5 of 1959-01-02; "
        "a model run, not an observation.",
    ),
    Sample(
        "flood2021",
        "ivt",
        500.0,
        "Water-vapour transport of the July 2021 flood in western Europe (ERA5)",
        "ERA5, pre-processed by the WAM2layers project (Apache-2.0); "
        "contains modified Copernicus Climate Change Service information.",
    ),
    Sample(
        "blocking1980",
        "block_tag",
        1.0,
        "Atmospheric blocking in January 1980 (MERRA-2)",
        "Masks of blocking made from MERRA-2 (NASA open data), from TempestExtremes' test data (BSD-2-Clause).",
    ),
)
"""The first one is the default."""


def find(name: str) -> Sample:
    """The sample of that name.  Raises InputError."""
    for sample in SAMPLES:
        if sample.name == name.strip():
            return sample
    from inference_workers.source.records import InputError

    raise InputError(f"There is no sample {name!r}: the samples are {', '.join(s.name for s in SAMPLES)}.")


def copy(name: str, folder: Path) -> Path:
    """Copies a sample into a folder, which is made if need be; returns the new file.  Raises InputError."""
    from inference_workers.source.records import InputError

    sample = find(name)
    target = folder / sample.path.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with sample.path.open("rb") as there, target.open("xb") as here:
            shutil.copyfileobj(there, here)
    except FileExistsError:
        what = f"{target} exists already" if target.exists() else f"{folder} is a file, not a folder"
        raise InputError(f"{what}: remove it or name another folder.") from None
    except OSError as why:
        raise InputError(f"{sample.name} cannot be copied to {folder}: {why.strerror}.") from None
    return target
