"""What is said of a run that has ended: the record of ``--json``, the exit code and the sentence.  Pure."""

from __future__ import annotations

from streamer.control.runs import Run


def summary(run: Run) -> dict[str, object]:
    """What ``--json`` prints of a finished run.  ``seconds`` since its work began; ``voxels`` of the whole volume."""
    status = run.status
    return {
        "run_id": run.run_id,
        "shape": list(run.shape),
        "chunks": status.chunks,
        "objects": status.objects,
        "voxels": status.voxels,
        "labelled_voxels": status.labelled_voxels,
        "seconds": round(status.seconds, 3),
        "voxels_per_second": round(status.voxels_per_second, 1),
        "out": run.out,
    }


def verdict(run: Run) -> tuple[int, str]:
    """The exit code for a run that has ended, and a sentence about it."""
    status = run.status
    if run.state != "complete":
        return 1, run.error or f"run {run.run_id} was {run.state}"
    if status.committed < status.chunks:
        first = next(iter(status.failures.items()), None)
        why = f"; chunk {first[0]}: {first[1]}" if first else ""
        return 1, f"{status.chunks - status.committed} of {status.chunks} chunks could not be segmented{why}"
    kept = f", written to {run.out}" if run.out else ""
    done = f"Complete: {plural(status.objects, 'object')} in {status.voxels:,} voxels, {status.seconds:.1f} s{kept}."
    if not status.labelled_voxels and "threshold" in run.parameters:
        units = f" {run.units}" if run.units else ""
        done += f"  No voxel of {run.variable} reached {run.parameters['threshold']:g}{units}: try a lower --threshold."
    return 0, done


def plural(number: int, thing: str) -> str:
    """A number of things."""
    return f"{number:,} {thing}{'s' if number != 1 else ''}"
