//! Addresses and networks as Ruby's `IPAddr` reads them, and sets of them to look into.
//!
//! No filter; what filters on addresses share.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address, or all addresses of a network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Net {
    v4: bool,
    first: u128,
    last: u128,
}

impl Net {
    /// Reads `10.0.0.1`, `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `fe80::/10`, `[::1]`.
    pub(super) fn parse(text: &str) -> Option<Net> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address = match address.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']').filter(|inner| inner.contains(':'))?,
            None => address,
        };
        let net = Net::of(match address.split_once('%') {
            Some((address, zone)) if !zone.is_empty() => IpAddr::V6(address.parse().ok()?),
            _ => address.parse().ok()?,
        });
        match prefix {
            Some(prefix) => net.mask(net.prefix(prefix)?),
            None => Some(net),
        }
    }

    fn of(address: IpAddr) -> Net {
        let (v4, bits) = match address {
            IpAddr::V4(address) => (true, u128::from(u32::from(address))),
            IpAddr::V6(address) => (false, u128::from(address)),
        };
        Net { v4, first: bits, last: bits }
    }

    fn width(self) -> u32 {
        if self.v4 { 32 } else { 128 }
    }

    /// The length of a prefix, given as such or as a mask.
    fn prefix(self, text: &str) -> Option<u32> {
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().ok();
        }
        let mask: IpAddr = text.parse().ok()?;
        let mask = Net::of(mask);
        let ones = mask.first.count_ones();
        (mask.v4 == self.v4 && mask.mask(ones)?.first == mask.first && Some(mask.first) == self.ones(ones))
            .then_some(ones)
    }

    /// The mask of a prefix; `None` where it is longer than an address.
    fn ones(self, prefix: u32) -> Option<u128> {
        let width = self.width();
        let rest = width.checked_sub(prefix)?;
        let all = u128::MAX >> (128 - width);
        Some(all & !(u128::MAX.checked_shr(128 - rest).unwrap_or(0)))
    }

    /// The network that it lies in.
    pub(super) fn mask(self, prefix: u32) -> Option<Net> {
        let ones = self.ones(prefix)?;
        let first = self.first & ones;
        let host = (u128::MAX >> (128 - self.width())) & !ones;
        Some(Net { first, last: first | host, ..self })
    }

    /// Whether it holds all addresses of another.
    pub(super) fn contains(self, other: Net) -> bool {
        self.v4 == other.v4 && self.first <= other.first && other.last <= self.last
    }
}

impl std::fmt::Display for Net {
    /// Its first address.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.v4 {
            true => Ipv4Addr::from(self.first as u32).fmt(f),
            false => Ipv6Addr::from(self.first).fmt(f),
        }
    }
}

/// Networks, for a look-up in logarithmic time. Neighbours are one range.
#[derive(Clone, Default, Debug)]
pub(super) struct Nets {
    ranges: Vec<Net>,
}

impl FromIterator<Net> for Nets {
    fn from_iter<I: IntoIterator<Item = Net>>(nets: I) -> Nets {
        let mut ranges: Vec<Net> = nets.into_iter().collect();
        ranges.sort_by_key(|net| (net.v4, net.first));
        ranges.dedup_by(|next, last| {
            let joins = last.v4 == next.v4 && next.first <= last.last.saturating_add(1);
            if joins {
                last.last = last.last.max(next.last);
            }
            joins
        });
        Nets { ranges }
    }
}

impl Nets {
    /// Whether one of them holds the address or network.
    pub(super) fn contains(&self, net: Net) -> bool {
        let behind = self.ranges.partition_point(|range| (range.v4, range.first) <= (net.v4, net.first));
        behind > 0 && self.ranges[behind - 1].contains(net)
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_networks() {
        let check = |text: &str, want: Option<(&str, &str)>| {
            let found = Net::parse(text).map(|net| (net.to_string(), Net { first: net.last, ..net }.to_string()));
            assert_eq!(found.as_ref().map(|(a, b)| (a.as_str(), b.as_str())), want, "{text}");
        };
        check("10.1.2.3", Some(("10.1.2.3", "10.1.2.3")));
        check("10.1.2.3/8", Some(("10.0.0.0", "10.255.255.255")));
        check("10.1.2.3/255.255.0.0", Some(("10.1.0.0", "10.1.255.255")));
        check("10.1.2.3/0", Some(("0.0.0.0", "255.255.255.255")));
        check("10.1.2.3/32", Some(("10.1.2.3", "10.1.2.3")));
        check("fe80::1%eth0/64", Some(("fe80::", "fe80::ffff:ffff:ffff:ffff")));
        check("[::1]", Some(("::1", "::1")));
        check("::/0", Some(("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")));
        check("::1/ffff::", Some(("::", "0:ffff:ffff:ffff:ffff:ffff:ffff:ffff")));
        for bad in ["", "x", "10.1.2", "10.1.2.300", "10.1.2.3/33", "10.1.2.3/", "10.1.2.3/255.0.255.0", "010.0.0.1"] {
            check(bad, None);
        }
        check("::1/129", None);
        check("::1/255.0.0.0", None);
        check("[10.0.0.1]", None);
    }

    #[test]
    fn sets() {
        let nets: Nets = ["10.0.0.0/9", "10.128.0.0/9", "192.168.1.0/24", "192.168.1.7", "fe80::/64"]
            .into_iter()
            .filter_map(Net::parse)
            .collect();
        assert_eq!(nets.ranges.len(), 3);
        let check = |text: &str, want: bool| assert_eq!(nets.contains(Net::parse(text).unwrap()), want, "{text}");
        check("10.0.0.0", true);
        check("10.255.255.255", true);
        check("11.0.0.0", false);
        check("9.255.255.255", false);
        check("192.168.1.7", true);
        check("192.168.0.0/16", false);
        check("fe80::5", true);
        check("::a00:1", false);
        assert!(Nets::default().is_empty());
    }

    proptest::proptest! {
        #[test]
        fn a_set_holds_what_one_of_its_networks_holds(
            nets in proptest::collection::vec((0_u32..64, 24_u32..=32), 0..8),
            address in 0_u32..64,
        ) {
            let net = |(address, prefix): (u32, u32)| Net::of(IpAddr::V4(address.into())).mask(prefix).unwrap();
            let nets: Vec<Net> = nets.into_iter().map(net).collect();
            let address = net((address, 32));
            let set: Nets = nets.iter().copied().collect();
            proptest::prop_assert_eq!(set.contains(address), nets.iter().any(|net| net.contains(address)));
        }
    }
}
