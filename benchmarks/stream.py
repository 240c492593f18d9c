"""How close the streamer comes to the wire: each figure beside the bare limit, taken in turn in one run.

python -m benchmarks.stream [--quick] [--json]
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import zstandard

from benchmarks.path import SIDE, Streamer, end, follow, spec, whole_way, work
from benchmarks.report import Row, at_least, at_most, conclude, interleaved, median, options
from benchmarks.wires import Took, child, fan_out, one_hop, two_hops
from streamer.wire.codec import Labels, compress, decode_labels, encode_labels
from streamer.wire.grid import Triple

PAYLOAD = 1 << 18


def main() -> int:
    """Runs all rows."""
    given = options("The streamer beside the bare limits of ZeroMQ, zstd and the disk.")
    rounds, chunks = (3, 400) if given.quick else (5, 1500)
    payloads = label_payloads()
    folder = Path(tempfile.mkdtemp(prefix="cavecast-bench-"))
    try:
        rows = [
            *path_rows(folder, payloads, rounds, chunks),
            *fan_rows(folder, payloads, rounds, chunks // 4),
            stopped_row(folder, payloads, rounds, chunks),
            *latency_rows(folder, payloads, 200 if given.quick else 1000),
            replay_row(folder, payloads, rounds, 400 if given.quick else 4096),
            growth_row(10_000 if given.quick else 100_000),
            *codec_rows(rounds),
        ]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return conclude("stream", rows, given)


def label_payloads() -> list[bytes]:
    """Labels of chunks of 64³ voxels that zstd makes into ``PAYLOAD`` bytes, and a few: noise, then nothing."""
    random = np.random.default_rng(0)
    noise = [random.integers(0, 256, PAYLOAD, np.uint8).tobytes() for _ in range(16)]
    return [compress(one + bytes(4 * SIDE**3 - PAYLOAD)) for one in noise]


def path_rows(folder: Path, payloads: list[bytes], rounds: int, chunks: int) -> list[Row]:
    """One worker, one subscriber, 256 KB payloads."""
    bare: list[Took] = []
    written: list[Took] = []
    group: list[Took] = []
    for _ in range(rounds):
        bare.append(two_hops(str(folder), payloads, chunks))
        written.append(fresh(folder, payloads, chunks))
        group.append(fresh(folder, payloads, chunks, "--durability", "group"))
    ours, limit = (median(t.cpu_s_per_gb for t in side) for side in (written, bare))
    fast, safe = (median(t.mb_per_s for t in side) for side in (written, group))
    return [
        at_most("worker → streamer → subscriber, CPU", f"{ours:.2f} CPU-s/GB, bare {limit:.2f}", ours / limit, 2.5),
        at_least("`group` beside `written`", f"{safe:.0f} MB/s, {fast:.0f} MB/s", safe / fast, 0.7),
    ]


def fresh(folder: Path, payloads: list[bytes], chunks: int, *options: str, subscribers: int = 1) -> Took:
    """The whole way over a log of its own."""
    place = folder / "run"
    took = whole_way(place, payloads, chunks, *options, subscribers=subscribers)
    shutil.rmtree(place)
    return took


def fan_rows(folder: Path, payloads: list[bytes], rounds: int, chunks: int) -> list[Row]:
    """Eleven subscribers."""
    found = interleaved(
        rounds,
        {
            "bare": lambda: fan_out(str(folder), payloads, chunks, 11).mb_per_s,
            "ours": lambda: fresh(folder, payloads, chunks, subscribers=11).mb_per_s,
        },
    )
    ours, limit = median(found["ours"]), median(found["bare"])
    return [at_least("eleven subscribers, delivered", f"{ours:.0f} MB/s, bare {limit:.0f} MB/s", ours / limit, 0.6)]


def stopped_row(folder: Path, payloads: list[bytes], rounds: int, chunks: int) -> Row:
    """Four subscribers, one of which stops reading: what the others keep, and what it costs the streamer's memory."""
    window = 8 << 20
    grown: dict[bool, list[float]] = {True: [], False: []}

    def four(stop: bool) -> float:
        place = folder / "run"
        with Streamer(place, spec(chunks)) as streamer:
            readers = [child(follow, streamer.feed, chunks, window) for _ in range(3)]
            odd = child(follow, streamer.feed, chunks, window, chunks // 10 if stop else 0)
            for reader in (*readers, odd):
                reader.hear()
            before = streamer.memory
            worker = child(work, streamer.ingest, payloads)
            said = [reader.hear() for reader in readers]
            grown[stop].append(streamer.memory - before)
            if stop:
                odd.process.kill()
            end(worker, odd, *readers)
        shutil.rmtree(place)
        return float(np.mean([one[2] / one[0] / 1e6 for one in said]))

    found = interleaved(rounds, {"all": lambda: four(False), "stopped": lambda: four(True)})
    rate, limit = median(found["stopped"]), median(found["all"])
    # What it grows by when all read (buffers of its own that fill once) is not the stopped one's doing.
    more = median(grown[True]) - median(grown[False])
    mib = f"{median(grown[True]) / 2**20:+.0f} MiB, {median(grown[False]) / 2**20:+.0f} when all read"
    value = f"{rate:.0f} MB/s, all reading {limit:.0f} MB/s; memory {mib}"
    row = at_least("one of four stopped: the others", value, rate / limit, 0.9)
    return row._replace(holds=row.holds and more < window)


def latency_rows(folder: Path, payloads: list[bytes], chunks: int) -> list[Row]:
    """Commit sent → received by the subscriber, one chunk at a time."""
    place = folder / "run"
    with Streamer(place, spec(chunks)) as streamer:
        reader = child(follow, streamer.feed, chunks, 8 << 20, 0, True)
        reader.hear()
        worker = child(work, streamer.ingest, payloads, 0.004, 1)
        _, _, _, arrived = reader.hear()
        _, sent = worker.hear()
        end(worker, reader)
    shutil.rmtree(place)
    took = np.array([arrived[chunk] - sent[chunk] for chunk in arrived]) * 1e3
    half, most = (float(np.percentile(took, p)) for p in (50, 99))
    return [
        at_most("commit → received, idle, p50", f"{half:.2f} ms", half, 3),
        at_most("commit → received, idle, p99", f"{most:.2f} ms", most, 10),
    ]


def replay_row(folder: Path, payloads: list[bytes], rounds: int, chunks: int) -> Row:
    """A finished log, read by somebody who comes late."""
    place = folder / "replay"
    whole_way(place, payloads, chunks)
    with Streamer(place, spec(chunks)) as streamer:

        def replay() -> float:
            reader = child(follow, streamer.feed, chunks)
            reader.hear()
            seconds, _, nbytes, _ = reader.hear()
            end(reader)
            return float(nbytes / seconds / 1e6)

        found = interleaved(rounds, {"bare": lambda: one_hop(str(folder), payloads, chunks).mb_per_s, "ours": replay})
    shutil.rmtree(place)
    ours, limit = median(found["ours"]), median(found["bare"])
    size = chunks * PAYLOAD / 1e9
    return at_least(f"replay of a {size:.1f} GB log", f"{ours:.0f} MB/s, bare {limit:.0f} MB/s", ours / limit, 0.5)


def growth_row(chunks: int) -> Row:
    """Hub time for a lease and a commit in the second half of a large grid, beside a small grid's."""
    from benchmarks.growth import seconds_per_chunk

    small = median(seconds_per_chunk(1000) for _ in range(5))
    large = seconds_per_chunk(chunks)
    return at_most(
        f"lease and commit, {chunks:,} chunks beside 1,000",
        f"{large * 1e6:.0f} µs, {small * 1e6:.0f} µs",
        large / small,
        1.2,
    )


def codec_rows(rounds: int) -> list[Row]:
    """The label chunks of the samples beside bare zstd-1 on the same bytes."""
    from benchmarks.samples import label_chunks

    return [row for name, chunk, cores in label_chunks() for row in codec(name, chunk, cores, 4 * rounds)]


def codec(name: str, chunk: Triple, cores: list[Labels], rounds: int) -> list[Row]:
    """One sample: ratio, encoding and decoding."""
    compressor, decompressor = zstandard.ZstdCompressor(level=1), zstandard.ZstdDecompressor()
    plain = [core.tobytes() for core in cores]
    ours, bare = [encode_labels(core, chunk) for core in cores], [compressor.compress(raw) for raw in plain]
    took = interleaved(
        rounds,
        {
            "encode": lambda: cpu(lambda: [encode_labels(core, chunk) for core in cores]),
            "bare encode": lambda: cpu(lambda: [compressor.compress(raw) for raw in plain]),
            "decode": lambda: cpu(lambda: [decode_labels(raw, constant, chunk) for raw, constant in ours]),
            "bare decode": lambda: cpu(lambda: [decompressor.decompress(raw) for raw in bare]),
        },
    )
    size = sum(map(len, plain))
    ratio, limit = size / sum(len(raw) for raw, _ in ours), size / sum(map(len, bare))
    rows = [at_least(f"{name}: compression", f"{ratio:.0f}×, bare {limit:.0f}×", ratio / limit, 0.95)]
    for side in ("encode", "decode"):
        speed, bound = (size / median(took[which]) / 1e6 for which in (side, f"bare {side}"))
        rows.append(at_least(f"{name}: {side}", f"{speed:.0f} MB/s, bare {bound:.0f} MB/s", speed / bound, 0.7))
    return rows


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of some work."""
    before = time.process_time()
    work()
    return time.process_time() - before


if __name__ == "__main__":
    sys.exit(main())
