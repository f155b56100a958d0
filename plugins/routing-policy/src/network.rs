//! Addresses and networks.

use core::net::IpAddr;

/// The addresses that begin with the same bits (`10.0.0.0/8`); one address has all of its bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    bits: u128,
    length: u32,
    width: u32,
}

// === impl Network ===

impl Network {
    /// From `<address>` or `<address>/<bits>`; none where it's neither, or where bits behind the prefix are set: then one of the
    /// two is a mistake.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let (bits, width) = bits(address)?;
        let length = length.unwrap_or(width);
        (length <= width && host_part(bits, length, width) == 0).then_some(Self { bits, length, width })
    }

    /// Whether this is an address of the network. Text that is no address isn't.
    pub fn has(&self, address: &str) -> bool {
        bits(address).is_some_and(|(bits, width)| width == self.width && prefix(bits ^ self.bits, self.length, width) == 0)
    }
}

/// An address as a number and its width. An IPv4 address that's written as an IPv6 one is what it stands for.
fn bits(address: &str) -> Option<(u128, u32)> {
    match address.parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V4(address) => Some((address.to_bits().into(), 32)),
        IpAddr::V6(address) => Some((address.to_bits(), 128)),
    }
}

fn prefix(bits: u128, length: u32, width: u32) -> u128 {
    bits.checked_shr(width - length).unwrap_or_default()
}

fn host_part(bits: u128, length: u32, width: u32) -> u128 {
    bits ^ prefix(bits, length, width).checked_shl(width - length).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(network: &str, address: &str) -> bool {
        Network::parse(network).unwrap().has(address)
    }

    #[test]
    fn addresses_are_in_networks_by_their_first_bits() {
        assert!(has("10.0.0.0/8", "10.255.0.1") && !has("10.0.0.0/8", "11.0.0.1"));
        assert!(has("192.0.2.7", "192.0.2.7") && !has("192.0.2.7", "192.0.2.6"));
        assert!(has("192.0.2.6/31", "192.0.2.7") && !has("192.0.2.6/31", "192.0.2.8"));
        assert!(has("2001:db8::/32", "2001:db8:1::1") && !has("2001:db8::/32", "2001:db9::"));
        assert!(has("0.0.0.0/0", "8.8.8.8") && !has("0.0.0.0/0", "::1"));
        assert!(has("::/0", "::1") && !has("::/0", "8.8.8.8"));
        assert!(has("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(!has("0.0.0.0/0", "") && !has("0.0.0.0/0", "host") && !has("0.0.0.0/0", "10.0.0.1:80"));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "10.0.0",
            "10.0.0.0/8/8",
            "::/129",
            "a/8",
            "2001:db8::1/32",
        ] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }
}
