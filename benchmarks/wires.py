"""The bare limits beside which the streamer is measured: what ZeroMQ itself does with the same bytes.

Each function runs its peers as processes of their own and returns seconds and CPU seconds.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import zmq

FORK = mp.get_context("fork")
LIMIT_MS = 20_000


class Took(NamedTuple):
    """What a transfer took."""

    seconds: float
    cpu_s: float
    nbytes: int

    @property
    def cpu_s_per_gb(self) -> float:
        """CPU seconds of all processes for 10⁹ bytes of payload."""
        return self.cpu_s / self.nbytes * 1e9

    @property
    def mb_per_s(self) -> float:
        """10⁶ bytes of payload a second."""
        return self.nbytes / self.seconds / 1e6


class Child(NamedTuple):
    """A process of a benchmark, and what it has to say."""

    process: Any
    said: Connection

    def hear(self, limit_s: float = 60.0) -> Any:
        """The next thing it says."""
        if not self.said.poll(limit_s):
            raise TimeoutError("a process of the benchmark is silent")
        return self.said.recv()

    def end(self) -> None:
        """Waits for its end; ends it if need be."""
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.said.close()


def child(work: Callable[..., None], *arguments: Any) -> Child:
    """Starts a process that calls ``work(say, *arguments)``."""
    here, there = FORK.Pipe(False)
    process = FORK.Process(target=work, args=(there, *arguments), daemon=True)
    process.start()
    there.close()
    return Child(process, here)


def cpu_s() -> float:
    """CPU seconds of this process."""
    used = os.times()
    return used.user + used.system


def _socket(kind: int) -> tuple[zmq.Context[zmq.Socket[bytes]], zmq.Socket[bytes]]:
    context = zmq.Context()
    socket = context.socket(kind)
    socket.set_hwm(64)
    socket.setsockopt(zmq.LINGER, LIMIT_MS)
    socket.setsockopt(zmq.RCVTIMEO, LIMIT_MS)
    socket.setsockopt(zmq.SNDTIMEO, LIMIT_MS)
    return context, socket


def _push(say: Connection, address: str, payloads: list[bytes], count: int) -> None:
    context, socket = _socket(zmq.PUSH)
    socket.connect(address)
    before, header = cpu_s(), b"h" * 120
    for i in range(count):
        socket.send_multipart([header, payloads[i % len(payloads)]], copy=False)
    socket.close()
    context.term()
    say.send(cpu_s() - before)


def _forward(say: Connection, folder: str, onward: str, count: int) -> None:
    context, pull = _socket(zmq.PULL)
    push = context.socket(zmq.PUSH)
    push.set_hwm(64)
    pull.bind(f"ipc://{folder}/hop")
    push.connect(onward)
    say.send(f"ipc://{folder}/hop")
    before = cpu_s()
    for _ in range(count):
        push.send_multipart(pull.recv_multipart(copy=False), copy=False)
    pull.close()
    push.close()
    context.term()
    say.send(cpu_s() - before)


def _pull(say: Connection, address: str, count: int) -> None:
    context, socket = _socket(zmq.PULL)
    socket.bind(address)
    say.send(address)
    before = cpu_s()
    nbytes, began = 0, 0.0
    for i in range(count):
        frames = socket.recv_multipart(copy=False)
        if i == 0:
            began = time.perf_counter()
        nbytes += len(frames[1].buffer)
    say.send((time.perf_counter() - began, cpu_s() - before, nbytes))
    socket.close()
    context.term()


def two_hops(folder: str, payloads: list[bytes], count: int) -> Took:
    """PUSH → PULL, PUSH → PULL: the way worker → streamer → subscriber with nothing in between."""
    sink = child(_pull, f"ipc://{folder}/sink", count)
    onward = sink.hear()
    middle = child(_forward, folder, onward, count)
    source = child(_push, middle.hear(), payloads, count)
    seconds, last, nbytes = sink.hear()
    took = Took(seconds, last + middle.hear() + source.hear(), nbytes)
    for one in (source, middle, sink):
        one.end()
    return took


def one_hop(folder: str, payloads: list[bytes], count: int) -> Took:
    """PUSH → PULL."""
    sink = child(_pull, f"ipc://{folder}/one", count)
    source = child(_push, sink.hear(), payloads, count)
    seconds, last, nbytes = sink.hear()
    took = Took(seconds, last + source.hear(), nbytes)
    for one in (source, sink):
        one.end()
    return took


def _dealer(say: Connection, address: str, count: int, window: int) -> None:
    context, socket = _socket(zmq.DEALER)
    socket.connect(address)
    socket.send(window.to_bytes(4, "little"))
    nbytes = used = 0
    began = 0.0
    for i in range(count):
        frames = socket.recv_multipart(copy=False)
        if i == 0:
            began = time.perf_counter()
        nbytes += len(frames[1].buffer)
        used += 1
        if used == window // 2:
            socket.send(used.to_bytes(4, "little"))
            used = 0
    say.send((time.perf_counter() - began, cpu_s(), nbytes))
    socket.close()
    context.term()


def fan_out(folder: str, payloads: list[bytes], count: int, peers: int, window: int = 32) -> Took:
    """One ROUTER, many DEALERs with credit: delivered bytes altogether."""
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.set_hwm(0)
    router.bind(f"ipc://{folder}/fan")
    children = [child(_dealer, f"ipc://{folder}/fan", count, window) for _ in range(peers)]
    credit: dict[bytes, int] = {}
    sent: dict[bytes, int] = {}
    before, header = cpu_s(), b"h" * 120
    while len(sent) < peers or any(n < count for n in sent.values()):
        if not router.poll(0 if any(credit[p] and sent[p] < count for p in sent) else LIMIT_MS):
            pass
        while router.poll(0):
            peer, raw = router.recv_multipart()
            credit[peer] = credit.get(peer, 0) + int.from_bytes(raw, "little")
            sent.setdefault(peer, 0)
        for peer in sent:
            if credit[peer] and sent[peer] < count:
                router.send_multipart([peer, header, payloads[sent[peer] % len(payloads)]], copy=False)
                credit[peer] -= 1
                sent[peer] += 1
    said = [one.hear() for one in children]
    cpu = cpu_s() - before + sum(one[1] for one in said)
    for one in children:
        one.end()
    context.destroy(linger=0)
    return Took(max(one[0] for one in said), cpu, sum(one[2] for one in said))
