"""The proxies of TCP that are compared, and the origins behind them. Knows nothing of how they are measured."""

import http.client
import json
import socket
import subprocess

import peers
import traffic

NEEDED = [("haproxy", "haproxy"), ("iperf3", "iperf3"), ("taskset", "util-linux")]

# What the peer is called and what its configuration says of splicing. Left to itself it doesn't splice a stream like this one.
HAPROXY = {
    "haproxy": ("HAProxy", ""),
    "haproxy-auto": ("HAProxy, splice-auto", "option splice-auto"),
    "haproxy-splice": ("HAProxy, always splice", "option splice-request\n    option splice-response"),
}


class Proxy(peers.Peer):
    """A process with a port for bulk and one for echoes. It's ready when an echo comes back."""

    def __init__(self, name, title, command, ports, core, log, admin=None):
        self.bulk, self.echo = ports
        self.admin = admin
        super().__init__(name, title, command, self.echo, core, log)

    def fault(self):
        if self.admin and self.echo is None:
            # The gateway says by itself which ports it leased.
            leased = leases(self.admin)
            if not {"bulk", "echo"} <= leased.keys():
                return f"leases for {', '.join(sorted(leased)) or 'nothing'}"
            self.bulk, self.echo = leased["bulk"], leased["echo"]
        return echo_fault(self.echo)


class Origin(peers.Peer):
    """A process that a proxy leads to; ready when it listens."""

    def fault(self):
        socket.create_connection(("127.0.0.1", self.port), 5).close()


class Stage:
    """Origins and proxies, started one after another into one folder; all are ended when it closes."""

    def __init__(self, folder, proxy_core, load_core, gateway, load):
        self.folder, self.proxy_core, self.load_core, self.gateway, self.load = folder, proxy_core, load_core, gateway, load
        self.started = []
        (folder / "secret").write_text(traffic.SECRET)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for peer in reversed(self.started):
            peer.end()

    def origins(self):
        """For bulk, echoes and WebSockets."""
        self.bulk = self._origin("iperf3", lambda port: ["iperf3", "--server", "--bind", "127.0.0.1", "--port", str(port)])
        self.echo = self._origin("echo", lambda port: [self.load, "echo", f"127.0.0.1:{port}"])
        self.sockets = self._origin("upgrade", lambda port: [self.load, "upgrade", f"127.0.0.1:{port}"])

    def start(self, name):
        return self._gateway() if name == "gateway" else self._haproxy(name, *HAPROXY[name])

    def _haproxy(self, name, title, splice):
        ports = peers.free_port(), peers.free_port()
        config = self._config("haproxy.cfg", f"{name}.cfg", SPLICE=splice, BULK_PORT=ports[0], ECHO_PORT=ports[1])
        return self._proxy(name, title, ["haproxy", "-db", "-q", "-f", config], ports)

    def _gateway(self):
        port, admin, range_start = peers.free_port(), peers.free_port(), free_range(4)
        self._config("sessions-tcp.yaml", "sessions.yaml", SOCKET_ORIGIN=self.sockets.port)
        config = self._config(
            "gateway-tcp.yaml", "gateway.yaml", PORT=port, ADMIN_PORT=admin, FIRST_PORT=range_start, LAST_PORT=range_start + 3
        )
        gateway = self._proxy("gateway", "gateway", [self.gateway, "run", "--config", config], (None, None), admin)
        gateway.http = port
        return gateway

    def _config(self, template, name, **places):
        places |= {
            "DIR": self.folder, "SECRET_FILE": self.folder / "secret", "SESSION": traffic.SESSION,
            "BULK_ORIGIN": self.bulk.port, "ECHO_ORIGIN": self.echo.port,
        }
        return peers.filled(template, self.folder / name, places)

    def _origin(self, name, command):
        port = peers.free_port()
        return self._started(Origin(name, name, command(port), port, self.load_core, self.folder / f"{name}.out"))

    def _proxy(self, name, title, command, ports, admin=None):
        return self._started(Proxy(name, title, command, ports, self.proxy_core, self.folder / f"{name}.out", admin))

    def _started(self, peer):
        self.started.append(peer)
        peer.wait_until_ready()
        return peer


def leases(admin):
    """The port of each TCP endpoint by its name."""
    connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=5)
    try:
        connection.request("GET", "/sessions")
        status = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    endpoints = [endpoint for session in status["sessions"] for endpoint in session["endpoints"]]
    return {endpoint.get("name"): endpoint["listener_port"] for endpoint in endpoints if endpoint.get("listener_port")}


def echo_fault(port):
    """What comes back in place of a line that is sent; None when all is well."""
    with socket.create_connection(("127.0.0.1", port), 5) as stream:
        stream.sendall(b"good morning")
        came = stream.recv(100)
    return None if came == b"good morning" else f"{came!r}"


def free_range(count):
    """The first of so many neighbouring ports that nobody listens on, below those of outgoing connections."""
    for first in range(21_000, 31_000, count):
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise peers.Unready(f"no {count} free neighbouring ports")


def held(load, core, port, count):
    """A process that holds so many WebSockets open until its input is closed; started when all are."""
    head = (
        f"GET /service/{traffic.SESSION}/socket HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: Upgrade", "Upgrade: websocket",
        "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", f"Authorization: Bearer {traffic.token()}", "", "",
    )
    command = ["taskset", "-c", str(core), load, "hold", f"127.0.0.1:{port}", str(count)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.stdin.write("\\r\\n".join(head) + "\n")
    process.stdin.flush()
    if process.stdout.readline().strip() != str(count):
        process.kill()
        raise peers.Unready(f"{count} WebSockets can't be opened")
    return process
