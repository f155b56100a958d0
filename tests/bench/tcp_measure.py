"""CPU time per gigabyte and per connection of one process, connections per second, and memory per idle WebSocket. Knows nothing
of what the process is."""

import dataclasses
import json
import re
import subprocess
import time

import measure
import peers
import tcp_peers

# Clients that connect at a time.
AT_A_TIME = 64
# Before memory is counted: what is made once, for the first of all, isn't theirs.
FIRST_SOCKETS = 64


@dataclasses.dataclass
class Bulk:
    cpu_per_gb: float  # seconds
    gbit: float  # per second
    others: float


@dataclasses.dataclass
class Connections:
    per_second: float
    cpu_us: float  # for each
    busy: float  # the share of its core that the proxy had
    others: float


def bulk(proxy, origin, seconds, core, *, download):
    """As much as one connection carries in so many seconds."""

    def run():
        command = ["iperf3", "--client", "127.0.0.1", "--port", str(proxy.bulk), "--time", str(seconds), "--json"]
        said = ran(core, [*command, *(["--reverse"] if download else [])], seconds)
        report = json.loads(said)
        if "error" in report:
            raise measure.Failed(f"iperf3 through {proxy.title}: {report['error']}")
        received = report["end"]["sum_received"]
        return received["bytes"], received["bits_per_second"]

    turn = measure.watched(proxy, [origin], run)
    received, rate = turn.amount
    return Bulk(turn.used_ns / received, rate / 1e9, turn.others)


def connections(proxy, origin, seconds, core, load):
    """Each is opened, carries one echo of 64 bytes, and is closed by the client."""

    def run():
        return int(ran(core, [load, "connect", f"127.0.0.1:{proxy.echo}", str(seconds), str(AT_A_TIME)], seconds))

    turn = measure.watched(proxy, [origin], run)
    return Connections(turn.amount / turn.wall_s, turn.used_ns / turn.amount / 1e3, turn.used_ns / 1e9 / turn.wall_s, turn.others)


def socket_kib(proxy, count, core, load):
    """Resident memory for each of so many idle WebSockets."""
    close(tcp_peers.held(load, core, proxy.http, FIRST_SOCKETS))
    before = resident_kib(proxy.process.pid)
    holder = tcp_peers.held(load, core, proxy.http, count)
    after = resident_kib(proxy.process.pid)
    close(holder)
    return (after - before) / count


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1])


def close(holder):
    holder.stdin.close()
    holder.wait(timeout=60)


def ran(core, command, seconds):
    process = peers.start(core, command, subprocess.PIPE, subprocess.PIPE, text=True)
    try:
        said, complaint = process.communicate(timeout=seconds + 60)
    finally:
        process.kill()
    if process.returncode != 0:
        raise measure.Failed(f"{' '.join(map(str, command))}:\n{said}{complaint}")
    # Connections that were closed may still be on their way through the proxy: they are of this turn.
    time.sleep(0.05)
    return said
