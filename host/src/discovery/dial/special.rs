//! Addresses that aren't just a machine in a network: those that carry another address inside, and those that have a meaning
//! of their own wherever they are.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::LazyLock,
};

use ipnet::IpNet;

use super::Refusal;

/// Addresses with a meaning. One is dialled only where the configuration names a network that lies wholly within it.
pub struct Class {
    pub name: &'static str,
    pub networks: Vec<IpNet>,
}

/// IANA's registries of special-purpose addresses, and where clouds hand out credentials.
static CLASSES: LazyLock<Vec<Class>> = LazyLock::new(|| {
    let class = |name, networks: &[&str]| Class { name, networks: networks.iter().filter_map(|text| text.parse().ok()).collect() };
    vec![
        class("unspecified", &["0.0.0.0/8", "::/128"]),
        class("loopback", &["127.0.0.0/8", "::1/128"]),
        class("link-local", &["169.254.0.0/16", "fe80::/10"]),
        class("site-local, which nobody uses any more", &["fec0::/10"]),
        class("multicast", &["224.0.0.0/4", "ff00::/8"]),
        class("broadcast", &["255.255.255.255/32"]),
        class("reserved", &["240.0.0.0/4", "192.0.0.0/24", "100::/64"]),
        // AWS (also for ECS and EKS), Google, Azure, Alibaba, Oracle.
        class("a metadata address", &["169.254.169.254/32"]),
        class("a metadata address", &["169.254.169.253/32"]),
        class("a metadata address", &["169.254.170.2/32"]),
        class("a metadata address", &["169.254.170.23/32"]),
        class("a metadata address", &["168.63.129.16/32"]),
        class("a metadata address", &["100.100.100.200/32"]),
        class("a metadata address", &["192.0.0.192/32"]),
        class("a metadata address", &["fd00:ec2::254/128"]),
        class("a metadata address", &["fd00:ec2::253/128"]),
        class("a metadata address", &["fd00:ec2::23/128"]),
        class("a metadata address", &["fd20:ce::254/128"]),
    ]
});

/// All classes that the canonical address is of.
pub fn classes(address: IpAddr) -> impl Iterator<Item = &'static Class> {
    CLASSES.iter().filter(move |class| class.networks.iter().any(|network| network.contains(&address)))
}

/// The address that packets would end at: IPv4 where IPv6 only carries it. Forms whose end depends on somebody else's
/// translator or tunnel are refused.
pub fn canonical(address: IpAddr) -> Result<IpAddr, Refusal> {
    let IpAddr::V6(six) = address else { return Ok(address) };
    let s = six.segments();
    let four = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match s {
        // `::` and `::1` look like the compatible form and aren't.
        _ if six == Ipv6Addr::UNSPECIFIED || six == Ipv6Addr::LOCALHOST => Ok(address),
        // Mapped (RFC 4291, 2.5.5.2), compatible (2.5.5.1), translated (RFC 2765).
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => Ok(four(high, low)),
        // NAT64 (RFC 6052).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Ok(four(high, low)),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => Ok(four(high, low)),
        [0x64, 0xff9b, 1, ..] => Err(Refusal::Malformed("a NAT64 address of local use (RFC 8215)")),
        [0x2001, 0, ..] => Err(Refusal::Malformed("a Teredo address")),
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => Err(Refusal::Malformed("an ISATAP address")),
        _ => Ok(address),
    }
}
