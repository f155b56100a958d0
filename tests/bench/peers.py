"""The processes that are compared, and the origin behind them: configurations from `configs/`, start, pinning, end. Knows
nothing of how they are measured."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import traffic

CONFIGS = pathlib.Path(__file__).parent / "configs"
MODULES = pathlib.Path("/usr/lib/nginx/modules")
LUA_MODULES = [MODULES / "ndk_http_module.so", MODULES / "ngx_http_lua_module.so"]
# What must be there: a file or command, and the Debian package it comes from.
NEEDED = [
    ("nginx", "nginx"), ("wrk", "wrk"), ("taskset", "util-linux"),
    (LUA_MODULES[1], "libnginx-mod-http-lua"),
    (pathlib.Path("/usr/share/lua/5.1/openssl/hmac.lua"), "lua-luaossl"),
    (pathlib.Path("/usr/share/lua/5.1/cjson/util.lua"), "lua-cjson"),
]
START_S = 30
# Ahead of whatever else the machine does, for everything that is measured alike; others than root have no say in it.
NICENESS = -15 if os.geteuid() == 0 else 0


class Unready(Exception):
    """Why nothing can be measured, in a sentence for whoever started this."""


def cores():
    """One for the proxy, one for load and origin."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise Unready(f"found {len(usable)} usable core, expected two: one for the proxy, one for load and origin")
    return usable[:2]


def end_all_on_signals():
    """As an exception, so that everything that was started is ended."""

    def ended(number, _frame):
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ended)


def install_missing(needed):
    """Installs the packages that are missing, where that is allowed."""
    missing = [package for what, package in needed if not (shutil.which(what) if isinstance(what, str) else what.exists())]
    if not missing:
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Unready(f"missing: {', '.join(missing)}. On Debian: sudo {' '.join(command)}")
    print(f"installing {', '.join(missing)}", file=sys.stderr)
    quiet = {"stdout": subprocess.DEVNULL, "env": os.environ | {"DEBIAN_FRONTEND": "noninteractive"}}
    subprocess.run(["apt-get", "update"], check=False, **quiet)
    if subprocess.run(command, check=False, **quiet).returncode != 0:
        raise Unready(f"`{' '.join(command)}` failed")


class Peer:
    """One process, alone on its core while it is measured. Between its turns it is stopped, so that it takes no time from
    the others."""

    def __init__(self, name, title, command, port, core, log):
        self.name, self.title, self.port, self.log = name, title, port, log
        with open(log, "wb") as out:
            self.process = start(core, command, out, out)
        self.checks_tokens = name != "nginx"

    def wait_until_ready(self):
        deadline, found = time.monotonic() + START_S, "nothing"
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                found = self.fault()
                if found is None:
                    return
            except OSError as error:
                found = str(error)
            time.sleep(0.05)
        ended = f"ended with status {self.process.returncode}" if self.process.poll() is not None else f"answered: {found}"
        raise Unready(f"{self.title} isn't ready; it {ended}. Its log:\n{self.tail()}")

    def fault(self):
        """What it answers in place of the origin's page; None when it's ready."""
        status, body = traffic.ask(self.port, traffic.headers(f"127.0.0.1:{self.port}", traffic.token()))
        return None if status == 200 and body == traffic.BODY else f"status {status}"

    def tail(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-10:])

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def end(self):
        if self.process.poll() is not None:
            return
        self.go_on()
        self.process.terminate()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Stage:
    """The origin and the peers, started one after another into one folder; all are ended when it closes."""

    def __init__(self, folder, proxy_core, load_core, gateway, plugins):
        self.folder, self.proxy_core, self.load_core = folder, proxy_core, load_core
        self.gateway, self.plugins = gateway, plugins
        self.started, self.origin_port = [], free_port()
        (folder / "secret").write_text(traffic.SECRET)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for peer in reversed(self.started):
            peer.end()

    def origin(self):
        port = self.origin_port
        config = self._config("origin.conf", "origin.conf", BODY=traffic.BODY.replace('"', '\\"'))
        return self._start("origin", "the origin", nginx(config), port, self.load_core)

    def start(self, name):
        return {"nginx": self._plain, "lua": self._lua, "warm": self._warm, "uncached": self._uncached}[name]()

    def _plain(self):
        port = free_port()
        config = self._config("nginx.conf", "nginx.conf", PEER="nginx", PORT=port, MODULES="", SETUP="", ACCESS="")
        return self._start("nginx", "nginx, plain proxy", nginx(config), port, self.proxy_core)

    def _lua(self):
        port = free_port()
        self._config("check.lua", "check.lua")
        modules = "\n".join(f"load_module {module};" for module in LUA_MODULES)
        setup = f'lua_package_path "{self.folder}/?.lua;;";\n    init_by_lua_block {{ require "check" }}'
        access = 'set $user "";\n            access_by_lua_block { require("check").access() }\n            proxy_set_header X-User $user;'
        config = self._config("nginx.conf", "lua.conf", PEER="lua", PORT=port, MODULES=modules, SETUP=setup, ACCESS=access)
        return self._start("lua", "nginx + Lua", nginx(config), port, self.proxy_core)

    def _warm(self):
        return self._gateway("warm", "gateway, warm cache", "{}")

    def _uncached(self):
        return self._gateway("uncached", "gateway, no cache", "{ bytes: 0, denial_bytes: 0 }")

    def _gateway(self, name, title, cache):
        port = free_port()
        self._config("sessions.yaml", "sessions.yaml")
        config = self._config("gateway.yaml", f"{name}.yaml", PORT=port, ADMIN_PORT=free_port(), CACHE=cache, PLUGINS=self.plugins)
        return self._start(name, title, [self.gateway, "run", "--config", config], port, self.proxy_core)

    def _config(self, template, name, **places):
        places |= {
            "DIR": self.folder, "ORIGIN_PORT": self.origin_port, "SECRET_FILE": self.folder / "secret",
            "SESSION": traffic.SESSION, "COOKIE": traffic.COOKIE,
        }
        return filled(template, self.folder / name, places)

    def _start(self, name, title, command, port, core):
        peer = Peer(name, title, command, port, core, self.folder / f"{name}.out")
        self.started.append(peer)
        peer.wait_until_ready()
        return peer


def filled(template, file, places):
    """Writes a configuration from `configs/` with values in its places."""
    text = (CONFIGS / template).read_text()
    for place, value in places.items():
        text = text.replace(f"@{place}@", str(value))
    file.write_text(text)
    return file


def start(core, command, out, error, text=False):
    """A process on one core, which has the id of the command itself. It's ended by whoever called."""
    before = ["nice", "-n", str(NICENESS), "taskset", "-c", str(core)]
    streams = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": error, "text": text}
    process = subprocess.Popen([*before, *command], start_new_session=True, **streams)
    if NICENESS:
        # Where the kernel groups processes by session, the group's niceness counts among strangers.
        with contextlib.suppress(OSError):
            pathlib.Path(f"/proc/{process.pid}/autogroup").write_text(str(NICENESS))
    return process


def nginx(config):
    return ["nginx", "-c", config, "-e", "stderr"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
