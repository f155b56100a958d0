//! Network namespaces on this machine, joined by a bridge: hosts with an address, loopback and ports of their own, so that several
//! gateways listen on the same ports and each can be cut off. Needs root.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    process::Command,
    sync::atomic::{AtomicU8, Ordering},
};

use crate::{life::Afterwards, programs::need};

/// So many networks at a time on one machine, of all test runs.
const NETWORKS: u8 = 64;

/// The side of this machine, in each network; what follows up to `FIRST_HOST` are servers of the test.
const HERE: u8 = 1;
const FIRST_HOST: u8 = 100;

/// A bridge, with this machine at one end. Gone with all its hosts when it's dropped, and with this process.
pub struct Network {
    number: u8,
    servers: AtomicU8,
    hosts: AtomicU8,
    _afterwards: Afterwards,
}

/// A network namespace on a bridge. Processes in it end before the network does.
#[derive(Clone, Debug)]
pub struct Host {
    pub address: IpAddr,
    name: String,
}

/// The addresses that this machine may have in networks, for certificates of servers here.
pub fn addresses() -> Vec<String> {
    (0..NETWORKS).map(|number| address(number, HERE).to_string()).collect()
}

fn address(number: u8, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 213, number, host)
}

// === impl Network ===

impl Network {
    /// # Panics
    /// When the system refuses, as it does without root.
    pub fn new() -> Self {
        for number in 0..NETWORKS {
            let bridge = bridge(number);
            // A name can be had once: another run with the same number has lost.
            if let Err(error) = ip(&["link", "add", &bridge, "type", "bridge"]) {
                assert!(error.contains("File exists"), "network namespaces need root: {error}");
                continue;
            }
            // A bridge leaves its ports behind, and a namespace takes its own with it some time later.
            let gone = "for port in $(ip -o link show master \"$1\" | sed 's/^[0-9]*: \\([^@:]*\\).*/\\1/'); do ip link delete $port; done; \
                        for host in $(ip netns list | sed -n \"s/^\\($1-[0-9]*\\).*/\\1/p\"); do ip netns delete $host; done; \
                        ip link delete $1";
            let network = Self {
                number,
                servers: AtomicU8::new(HERE),
                hosts: AtomicU8::new(FIRST_HOST),
                _afterwards: Afterwards::run(gone, &[&bridge]),
            };
            must(&["address", "add", &format!("{}/24", address(number, HERE)), "dev", &bridge]);
            must(&["link", "set", &bridge, "up"]);
            return network;
        }
        panic!("{NETWORKS} networks are there already: `ip link show type bridge`");
    }

    /// `10.213.0.0/24`
    pub fn range(&self) -> String {
        format!("{}/24", address(self.number, 0))
    }

    /// Of this machine.
    pub fn here(&self) -> IpAddr {
        address(self.number, HERE).into()
    }

    /// Another address of this machine, at which the test may put a server of its own: a pod's, say.
    pub fn server(&self) -> IpAddr {
        let host = self.servers.fetch_add(1, Ordering::Relaxed) + 1;
        assert!(host < FIRST_HOST, "no more than {FIRST_HOST} servers");
        let address = address(self.number, host);
        must(&["address", "add", &format!("{address}/32"), "dev", &bridge(self.number)]);
        address.into()
    }

    pub fn host(&self) -> Host {
        let host = self.hosts.fetch_add(1, Ordering::Relaxed);
        let (bridge, name) = (bridge(self.number), format!("{}-{host}", bridge(self.number)));
        let port = format!("{bridge}p{host}");
        must(&["netns", "add", &name]);
        must(&["link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &name]);
        must(&["link", "set", &port, "master", &bridge, "up"]);
        let address = address(self.number, host);
        must(&["-n", &name, "address", "add", &format!("{address}/24"), "dev", "eth0"]);
        must(&["-n", &name, "link", "set", "lo", "up"]);
        must(&["-n", &name, "link", "set", "eth0", "up"]);
        Host { address: address.into(), name }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

// === impl Host ===

impl Host {
    /// What runs a program here: these words come before its name. The program takes their process over.
    pub fn prefix(&self) -> Vec<String> {
        let ip = need("ip", "iproute2").to_string_lossy().into_owned();
        vec![ip, "netns".into(), "exec".into(), self.name.clone()]
    }

    /// Unplugs it: what is sent is lost, and nobody is told.
    pub fn unplug(&self) {
        must(&["-n", &self.name, "link", "set", "eth0", "down"]);
    }

    pub fn plug(&self) {
        must(&["-n", &self.name, "link", "set", "eth0", "up"]);
    }
}

fn bridge(number: u8) -> String {
    format!("wicket{number}")
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let run: io::Result<_> = Command::new(need("ip", "iproute2")).args(arguments).output();
    let run = run.unwrap();
    if run.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&run.stderr).trim().to_owned()) }
}

fn must(arguments: &[&str]) {
    ip(arguments).unwrap_or_else(|error| panic!("ip {arguments:?}: {error}"));
}
