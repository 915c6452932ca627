//! End points: where a command goes, and with it what it asks and the credentials that it shows.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Effect, Understood};
use crate::gate::taint::Inventory;

/// Names under which clouds hand out the credentials of a machine.
const METADATA_NAMES: [&str; 7] = [
    "instance-data",
    "instance-data.ec2.internal",
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "metadata.azure.com",
    "metadata.tencentyun.com",
];

/// An end point given on the command line. Beyond the house it makes the command opaque: the question and the
/// credentials with it go there.
pub(super) fn endpoint(understood: &mut Understood, urls: &str, inventory: &Inventory) {
    for url in urls.split(',') {
        let host = asks(understood, url, inventory);
        if !near(&host) && !inventory.knows(&host) {
            understood.raise(Effect::Opaque, "redirects the end point to another house");
        }
    }
}

/// Notes where a command goes, and whether that is a place that nobody has named before. Returns the host.
pub(super) fn asks(understood: &mut Understood, url: &str, inventory: &Inventory) -> String {
    let written = host(url);
    let host = canonical(written);
    if host.parse::<IpAddr>().is_ok() && host != written.to_ascii_lowercase() {
        understood.raise(Effect::Opaque, format!("`{written}` is an address in disguise"));
    }
    understood.note(format!("asks {host}"));
    if hands_out_credentials(&host) {
        understood.reads_secrets = true;
        understood.raise(Effect::Opaque, "the machine's own metadata: it hands out credentials");
    }
    let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if !here && !inventory.knows(&host) {
        understood.facts.redirected = true;
        understood.note(format!("{host} is not among the names that are known"));
    }
    host
}

/// Notes a host that is only named or reached, without credentials to show. A name that nobody knows and that lies beyond
/// the house can carry something out all the same: to whoever answers for it.
pub(super) fn reaches(understood: &mut Understood, place: &str, inventory: &Inventory) {
    let host = canonical(host(place));
    if !near(&host) && !inventory.knows(&host) {
        understood.facts.redirected = true;
        understood.note(format!("{host} is not among the names that are known"));
    }
}

/// Host of a URL or of `host:port`, as written.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None if authority.matches(':').count() > 1 => authority,
        None => authority.split(':').next().unwrap_or_default(),
    }
}

/// The host as the URL standard reads it: `2852039166`, `0xA9FEA9FE` and `0251.0376.0251.0376` are one address, and so
/// is its IPv6 form. <https://url.spec.whatwg.org/#host-parsing>
fn canonical(host: &str) -> String {
    let host = host.split('%').next().filter(|start| start.contains(':')).unwrap_or(host);
    if let Ok(address) = host.parse::<Ipv6Addr>() {
        return v4_inside(address).map_or_else(|| address.to_string(), |v4| v4.to_string());
    }
    match url::Host::parse(host) {
        Ok(url::Host::Ipv4(address)) => address.to_string(),
        Ok(url::Host::Domain(name)) => name.trim_end_matches('.').to_ascii_lowercase(),
        _ => host.to_ascii_lowercase(),
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped, compatible, or behind NAT64.
fn v4_inside(address: Ipv6Addr) -> Option<Ipv4Addr> {
    if address.is_loopback() || address.is_unspecified() {
        return None;
    }
    let [a, b, .., high, low] = address.segments();
    let behind_nat64 = (a, b) == (0x64, 0xff9b);
    let [first, second] = high.to_be_bytes();
    let [third, fourth] = low.to_be_bytes();
    address.to_ipv4().or_else(|| behind_nat64.then(|| Ipv4Addr::new(first, second, third, fourth)))
}

/// Whether a host is one of those at which clouds answer with credentials.
fn hands_out_credentials(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(v4)) => {
            v4.is_link_local() || [[100, 100, 100, 200], [192, 0, 0, 192], [168, 63, 129, 16]].contains(&v4.octets())
        }
        Ok(IpAddr::V6(v6)) => v6.is_unicast_link_local() || v6.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254],
        Err(_) => {
            METADATA_NAMES.contains(&host) || host.contains("169.254.169.254") || host.contains("169-254-169-254")
        }
    }
}

/// Whether a host lies within the house by its name or address alone: loopback, private, a single label, or a
/// domain that cannot be registered.
fn near(host: &str) -> bool {
    if let Ok(address) = host.parse::<core::net::IpAddr>() {
        return match address {
            core::net::IpAddr::V4(v4) => v4.is_loopback() || v4.is_private(),
            core::net::IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local(),
        };
    }
    let host = host.to_ascii_lowercase();
    let named = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    // A single label must hold a letter: `2130706433` is an address in disguise.
    // No top-level domain holds a hyphen, except for those in other scripts; what ends so is a name in the cluster
    // (`prometheus.kube-system`). The usual names of namespaces are none either.
    let last = host.rsplit('.').next().unwrap_or_default();
    let inside = last.contains('-') && !last.starts_with("xn--") || NAMESPACES.contains(&last);
    named
        && ((inside && host.bytes().filter(|&b| b == b'.').count() == 1)
            || (!host.contains('.') && host.bytes().any(|b| b.is_ascii_alphabetic()) && !host.starts_with("0x"))
            || [".svc", ".svc.cluster.local", ".internal", ".local", ".lan", ".corp", ".localhost", ".home.arpa"]
                .iter()
                .any(|domain| host.ends_with(domain)))
}

/// Names of namespaces that can be no top-level domain, so `service.namespace` stays in the cluster.
const NAMESPACES: [&str; 8] =
    ["monitoring", "default", "observability", "logging", "prometheus", "loki", "grafana", "alertmanager"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_spelling() {
        for spelling in [
            "http://169.254.169.254/latest",
            "http://2852039166/",
            "0xA9FEA9FE",
            "0251.0376.0251.0376:80",
            "169.254.43518",
            "http://[::ffff:a9fe:a9fe]/",
            "http://[::169.254.169.254]/",
            "http://[64:ff9b::a9fe:a9fe]:80/",
            "http://%31%36%39.254.169.254/",
            "http://user@169.254.169.254#x",
        ] {
            assert_eq!(canonical(host(spelling)), "169.254.169.254", "{spelling}");
        }
        for (url, want) in [
            ("http://payments.shop.svc.:8080/x", "payments.shop.svc"),
            ("DB:5432", "db"),
            ("[::1]:80", "::1"),
            ("::1", "::1"),
            ("https://a@b.example\\@c", "b.example"),
        ] {
            assert_eq!(canonical(host(url)), want, "{url}");
        }
    }

    #[test]
    fn metadata_hands_out_credentials_under_every_name() {
        for host in ["169.254.169.254", "fd00:ec2::254", "instance-data", "169.254.169.254.nip.io", "100.100.100.200"] {
            assert!(hands_out_credentials(host), "{host}");
        }
        assert!(!hands_out_credentials("10.0.0.1") && !hands_out_credentials("payments"));
    }
}
