"""CPU time per request of one process under a closed loop, in interleaved rounds. Knows nothing of what the process is."""

import contextlib
import dataclasses
import os
import re
import statistics
import subprocess
import time

import traffic
from peers import start

CONNECTIONS = 64


class Failed(Exception):
    """A round that can't be counted, in a sentence."""


@dataclasses.dataclass
class Sample:
    requests: int
    cpu_us: float  # of the proxy's process, for each request
    per_second: float
    busy: float  # the share of its core that the proxy had
    others: float  # cores that processes of others had meanwhile


@dataclasses.dataclass
class Spread:
    median: float
    low: float
    high: float


def spread(values):
    """Median and quartiles."""
    low, _, high = statistics.quantiles(values, n=4) if len(values) > 1 else (values[0],) * 3
    return Spread(statistics.median(values), low, high)


def thread_ns(pid):
    """Time on CPU of each thread of a process so far: the first field of schedstat."""
    times = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        # A thread of a pool may end meanwhile.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as stat:
                times[task] = int(stat.read().split()[0])
    return times


def since(before, pid):
    """What the threads of a process used since; one that ended counts as nothing, not as less."""
    return sum(now - before.get(task, 0) for task, now in thread_ns(pid).items())


def machine_ns():
    """Time that all processes of the machine ran, in its own clock ticks."""
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice, system = stat.readline().split()[1:4]
    return (int(user) + int(nice) + int(system)) * 1e9 / os.sysconf("SC_CLK_TCK")


def busy_cores(seconds):
    """How many cores have something to do while we do nothing."""
    before, began = machine_ns(), time.monotonic()
    time.sleep(seconds)
    return (machine_ns() - before) / 1e9 / (time.monotonic() - began)


def own_ns():
    """Time that this process and the load generators so far ran."""
    times = os.times()
    return (times.user + times.system + times.children_user + times.children_system) * 1e9


def load(port, seconds, core):
    """As many requests as 64 connections can make; answers how many were made."""
    sent = traffic.headers(f"127.0.0.1:{port}", traffic.token())
    arguments = [argument for name, value in sent.items() for argument in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", *arguments]
    url = f"http://127.0.0.1:{port}{traffic.PATH}"
    process = start(core, [*command, url], subprocess.PIPE, subprocess.STDOUT, text=True)
    try:
        said, _ = process.communicate(timeout=seconds + 30)
    finally:
        process.kill()
    requests = re.search(r"(\d+) requests in ", said)
    if process.returncode != 0 or not requests or "Non-2xx" in said or "Socket errors" in said:
        raise Failed(f"wrk against port {port}:\n{said}")
    return int(requests[1])


@dataclasses.dataclass
class Turn:
    amount: float  # whatever was counted
    used_ns: int  # by the proxy's process
    wall_s: float
    others: float  # cores that processes of others had meanwhile


def watched(peer, sources, act):
    """What came of one peer's turn; the other peers are stopped. `sources` are the running processes behind it."""
    peer.go_on()
    proxy, behind = peer.process.pid, [source.process.pid for source in sources]
    before, behind_before = thread_ns(proxy), [thread_ns(pid) for pid in behind]
    own, machine, began = own_ns(), machine_ns(), time.monotonic()
    amount = act()
    wall, used = time.monotonic() - began, since(before, proxy)
    ours = used + own_ns() - own + sum(since(old, pid) for old, pid in zip(behind_before, behind))
    others = max(machine_ns() - machine - ours, 0.0) / 1e9 / wall
    peer.stop()
    return Turn(amount, used, wall, others)


def sample(peer, origin, seconds, core):
    """Requests of one turn."""
    turn = watched(peer, [origin], lambda: load(peer.port, seconds, core))
    return Sample(
        turn.amount, turn.used_ns / turn.amount / 1e3, turn.amount / turn.wall_s, turn.used_ns / 1e9 / turn.wall_s, turn.others
    )


def rounds(peers, take, count, told):
    """`count` rounds of all peers in turn, after one that isn't counted; samples by the peer's name."""
    for peer in peers:
        peer.stop()
    samples = {peer.name: [] for peer in peers}
    for turn in range(count + 1):
        latest = {peer.name: take(peer) for peer in peers}
        told(turn, latest)
        for name, one in latest.items():
            samples[name].extend([one] if turn else [])
    for peer in peers:
        peer.go_on()
    return samples
