//! The addresses at which a webhook may be called.
//!
//! The webhook's URL is entered by an operator, and a name resolves to whatever its owner wants: without a policy a
//! call could reach the Lambda runtime API on loopback, a metadata service or another host in the network. The address
//! that is actually connected to is checked, not one that was resolved before: a name goes through [`Resolver`], which
//! the connection itself uses; a literal address bypasses any resolver and is checked by [`super::Webhook`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The blocks in IANA's IPv4 special-purpose registry that are not globally reachable, and multicast.
const REFUSED_V4: [(Ipv4Addr, u32); 17] = [
    (Ipv4Addr::UNSPECIFIED, 8),           // this network
    (Ipv4Addr::new(10, 0, 0, 0), 8),      // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),   // carriers' shared space
    (Ipv4Addr::new(127, 0, 0, 0), 8),     // loopback
    (Ipv4Addr::new(169, 254, 0, 0), 16),  // link-local, the clouds' metadata services
    (Ipv4Addr::new(172, 16, 0, 0), 12),   // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),    // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),    // documentation
    (Ipv4Addr::new(192, 31, 196, 0), 24), // AS112
    (Ipv4Addr::new(192, 52, 193, 0), 24), // multicast tunnels
    (Ipv4Addr::new(192, 88, 99, 0), 24),  // 6to4 relays
    (Ipv4Addr::new(192, 168, 0, 0), 16),  // private
    (Ipv4Addr::new(192, 175, 48, 0), 24), // AS112
    (Ipv4Addr::new(198, 18, 0, 0), 15),   // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),  // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 3),     // multicast, reserved, broadcast
];

/// The only block of global unicast IPv6 addresses. Loopback, unique and link-local, multicast, IPv4-mapped and NAT64
/// addresses are all outside.
const GLOBAL_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// The blocks inside [`GLOBAL_V6`] that are not globally reachable, from IANA's IPv6 special-purpose registry. Several
/// lead to an embedded IPv4 address.
const REFUSED_V6: [(Ipv6Addr, u32); 5] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments, Teredo, benchmarks, ORCHID
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48), // AS112
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// The policy of which addresses may be called. `main` injects it: no variable can relax it.
#[derive(Debug, Clone, Copy)]
pub struct AddressPolicy {
    this_machine: bool,
}

impl AddressPolicy {
    /// Only addresses on the public internet: for every deployment.
    #[must_use]
    pub const fn public_only() -> Self {
        Self { this_machine: false }
    }

    /// Loopback as well, and there without TLS: for tests and `cargo run`, whose webhooks are on the same machine.
    #[must_use]
    pub const fn this_machine_too() -> Self {
        Self { this_machine: true }
    }

    /// Whether a webhook may be called without TLS.
    pub(super) const fn permits_plain_http(self) -> bool {
        self.this_machine
    }

    /// Whether `address` may be called.
    pub(super) fn permits(self, address: IpAddr) -> bool {
        let public = match address {
            IpAddr::V4(v4) => !REFUSED_V4.into_iter().any(|block| in_v4(v4, block)),
            IpAddr::V6(v6) => in_v6(v6, GLOBAL_V6) && !REFUSED_V6.into_iter().any(|block| in_v6(v6, block)),
        };
        public || self.this_machine && address.is_loopback()
    }

    /// The addresses of a name that may be called.
    ///
    /// # Errors
    /// [`NotPermitted`] if none of them may.
    fn only_permitted(self, found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, NotPermitted> {
        let permitted: Vec<_> = found.filter(|address| self.permits(address.ip())).collect();
        if permitted.is_empty() { Err(NotPermitted) } else { Ok(permitted) }
    }
}

fn in_v4(address: Ipv4Addr, (network, prefix): (Ipv4Addr, u32)) -> bool {
    (address.to_bits() ^ network.to_bits()).leading_zeros() >= prefix
}

fn in_v6(address: Ipv6Addr, (network, prefix): (Ipv6Addr, u32)) -> bool {
    (address.to_bits() ^ network.to_bits()).leading_zeros() >= prefix
}

/// A name resolves only to addresses that must not be called. The error does not name them, since errors are logged.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("none of the name's addresses may be called")]
pub(super) struct NotPermitted;

/// The system's resolver without the addresses that the policy refuses.
pub(super) struct Resolver(pub(super) AddressPolicy);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0;
        Box::pin(async move {
            // The client replaces the port 0 by the URL's.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses: Addrs = Box::new(policy.only_permitted(found)?.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(policy: AddressPolicy, address: &str) -> bool {
        policy.permits(address.parse().unwrap())
    }

    #[test]
    fn public_addresses_are_permitted() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "101.226.103.106",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "203.0.114.0",
            "223.255.255.255",
            "2001:200::1",
            "2001:db7::1",
            "2001:db9::1",
            "2400:3200::1",
            "2606:4700:4700::1111",
            "3ffe::1",
        ] {
            assert!(permits(AddressPolicy::public_only(), address), "{address}");
            assert!(permits(AddressPolicy::this_machine_too(), address), "{address}");
        }
    }

    #[test]
    fn every_address_that_is_not_globally_reachable_is_refused() {
        for address in [
            "0.0.0.0",
            "0.255.255.255",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.0",
            "100.100.100.200",
            "100.127.255.255",
            "169.254.0.0",
            "169.254.169.254",
            "169.254.170.2",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.192",
            "192.0.2.1",
            "192.31.196.1",
            "192.52.193.1",
            "192.88.99.1",
            "192.168.0.1",
            "192.168.255.255",
            "192.175.48.1",
            "198.18.0.0",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            // Unspecified, and every form with an embedded IPv4 address: compatible, mapped, translated, NAT64, Teredo,
            // 6to4. Public ones too: nothing needs them.
            "::",
            "::127.0.0.1",
            "::8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:8.8.8.8",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1::1",
            "2001::1",
            "2001:0:7f00:1::1",
            "2002:7f00:1::1",
            "2002:a9fe:a9fe::1",
            // Other special purposes.
            "100::1",
            "100:0:0:1::1",
            "2001:2::1",
            "2001:20::1",
            "2001:1ff:ffff::1",
            "2001:db8::1",
            "2620:4f:8000::1",
            "3fff::1",
            "3fff:fff:ffff::1",
            "4000::1",
            "5f00::1",
            "1fff:ffff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!permits(AddressPolicy::public_only(), address), "{address}");
            assert!(!permits(AddressPolicy::this_machine_too(), address), "{address}");
        }
    }

    #[test]
    fn loopback_is_permitted_only_where_this_machine_is() {
        for address in ["127.0.0.1", "127.255.255.255", "::1"] {
            assert!(!permits(AddressPolicy::public_only(), address), "{address}");
            assert!(permits(AddressPolicy::this_machine_too(), address), "{address}");
        }
    }

    #[test]
    fn of_a_names_addresses_only_the_permitted_ones_are_connected_to() {
        let found = |addresses: &[&str]| {
            let addresses: Vec<SocketAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
            AddressPolicy::public_only().only_permitted(addresses.into_iter())
        };
        let public = "1.1.1.1:0".parse().unwrap();
        assert_eq!(found(&["127.0.0.1:0", "1.1.1.1:0", "[::1]:0"]), Ok(vec![public]));
        assert_eq!(found(&["127.0.0.1:0", "10.0.0.1:0"]), Err(NotPermitted));
    }
}
