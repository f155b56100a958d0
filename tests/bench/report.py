"""The figures as Markdown, and whether the goals were met."""

import os
import platform
import re
import subprocess
import time

from measure import CONNECTIONS, spread
import traffic

# Cores that others may have in figures that are to be kept.
MOST_OTHERS = 0.1
# Of the gateway with a warm cache: at most so many times a peer's CPU time.
GOALS = [("warm", "nginx", 1.35), ("warm", "lua", 0.60)]


def hardware():
    cpu = re.search(r"model name\s*: (.*)", open("/proc/cpuinfo", encoding="utf-8").read())
    return f"- {time.strftime('%Y-%m-%d')}, {cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}"


def machine(gateway):
    """What it ran on, for the reader who compares."""
    versions = [said("nginx", "-v"), said("wrk", "--version").split(" [")[0], said(gateway, "--version") if gateway else ""]
    return [
        hardware(),
        f"- {'; '.join(version for version in versions if version)}",
        f"- {CONNECTIONS} connections, keep-alive, closed loop; 14 request headers, a token of {len(traffic.token())} bytes, "
        f"an answer of {len(traffic.BODY)} bytes",
    ]


def quiet(samples, cores_before):
    """Whether the machine had anything else to do: then caches are cold and figures high, for all and not alike. Others that
    had to wait for us disturb as well, so what they had just before counts too."""
    others = spread([one.others for mine in samples.values() for one in mine]).median
    verdict = "**busy: measure again when it's quiet**" if max(others, cores_before) > MOST_OTHERS else "quiet enough"
    return f"- other processes had {cores_before:.2f} cores before and {others:.2f} meanwhile: {verdict}"


def table(peers, samples):
    """A row for each peer, with ratios pair by pair within a round."""
    bases = [peer for peer in peers if peer.name in ("nginx", "lua")]
    titles = ["", "CPU per request, µs", "requests/s", "core busy", *(f"× {base.title}" for base in bases)]
    rows = [titles, ["---", *["---:"] * (len(titles) - 1)]]
    for peer in peers:
        mine = samples[peer.name]
        cpu, rate = spread([one.cpu_us for one in mine]), spread([one.per_second for one in mine])
        ratios = (ratio(samples, peer.name, base.name) for base in bases)
        rows.append([
            peer.title, f"{cpu.median:.1f} ({cpu.low:.1f}–{cpu.high:.1f})", f"{rate.median:,.0f}",
            f"{spread([one.busy for one in mine]).median:.0%}",
            *(f"{one.median:.2f} ({one.low:.2f}–{one.high:.2f})" for one in ratios),
        ])
    return [f"| {' | '.join(row)} |" for row in rows]


def goals(samples):
    """A sentence for each goal that could be judged. With quartiles on both sides of the goal nothing is decided."""
    told = []
    for name, base, most in GOALS:
        if samples.get(name) and samples.get(base):
            found = ratio(samples, name, base)
            verdict = "met" if found.high <= most else "**missed**" if found.low > most else "**undecided**"
            told.append(f"- {name} / {base}: {found.median:.2f} ({found.low:.2f}–{found.high:.2f}), goal at most {most:.2f}: {verdict}")
    return told


def ratio(samples, name, base):
    pairs = zip(samples[name], samples[base])
    return spread([mine.cpu_us / other.cpu_us for mine, other in pairs])


def said(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().splitlines()[0] if done.stdout or done.stderr else ""
