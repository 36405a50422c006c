//! Which addresses Rollcall may talk to, checked before and after a name is resolved.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::settings::{ALLOW_LOOPBACK_TARGETS, ALLOW_PRIVATE_TARGETS, AllowedTargets};

/// What the operator's environment allows beyond public https addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetPolicy {
    pub allow_loopback: bool,
    pub allow_private: bool,
}

impl From<AllowedTargets> for TargetPolicy {
    fn from(allowed: AllowedTargets) -> Self {
        Self {
            allow_loopback: allowed.loopback,
            allow_private: allowed.private,
        }
    }
}

impl TargetPolicy {
    /// Checks scheme, host and literal address; names are checked again when they are resolved.
    pub fn check(&self, url: &Url) -> Result<(), TargetRefusal> {
        let shown = shown_address(url);
        let host = url.host().ok_or_else(|| TargetRefusal::NoHost {
            address: shown.clone(),
        })?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TargetRefusal::CredentialInAddress { address: shown });
        }
        match url.scheme() {
            "https" => {}
            "http" if self.allow_loopback && is_loopback_host(&host) => {}
            "http" => return Err(TargetRefusal::NotHttps { address: shown }),
            _ => return Err(TargetRefusal::NotHttps { address: shown }),
        }
        match host {
            Host::Ipv4(ip) => self.check_ip(&ip.to_string(), IpAddr::V4(ip)),
            Host::Ipv6(ip) => self.check_ip(&ip.to_string(), IpAddr::V6(ip)),
            Host::Domain(name) if is_localhost(name) && !self.allow_loopback => {
                Err(TargetRefusal::Loopback {
                    host: name.to_owned(),
                })
            }
            Host::Domain(_) => Ok(()),
        }
    }

    pub fn check_ip(&self, host: &str, ip: IpAddr) -> Result<(), TargetRefusal> {
        let host = host.to_owned();
        match AddressKind::of(ip) {
            AddressKind::Public => Ok(()),
            AddressKind::Loopback if self.allow_loopback => Ok(()),
            AddressKind::Loopback => Err(TargetRefusal::Loopback { host }),
            AddressKind::Private if self.allow_private => Ok(()),
            AddressKind::Private => Err(TargetRefusal::Private { host }),
            AddressKind::Forbidden => Err(TargetRefusal::Forbidden { host }),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetRefusal {
    #[error("The address {address:?} has no host. Enter a complete https address.")]
    NoHost { address: String },
    #[error("The address {address:?} is not https. Enter an https address.")]
    NotHttps { address: String },
    #[error(
        "The address {address:?} carries a user name or password. Remove it; the token has its own field."
    )]
    CredentialInAddress { address: String },
    #[error(
        "{host} is this machine itself (loopback), which is refused. Enter the public address, or set {ALLOW_LOOPBACK_TARGETS}=1."
    )]
    Loopback { host: String },
    #[error(
        "{host} is a private network address, which is refused. Enter the public address, or set {ALLOW_PRIVATE_TARGETS}=1."
    )]
    Private { host: String },
    #[error(
        "{host} is a reserved, link-local or metadata address, which is always refused. Enter the public address."
    )]
    Forbidden { host: String },
}

impl TargetRefusal {
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoHost { .. } => "target-no-host",
            Self::NotHttps { .. } => "target-not-https",
            Self::CredentialInAddress { .. } => "target-credential-in-address",
            Self::Loopback { .. } => "target-loopback",
            Self::Private { .. } => "target-private",
            Self::Forbidden { .. } => "target-forbidden",
        }
    }
}

/// Scheme, host, port and path: never a user name, a password or a query.
pub fn shown_address(url: &Url) -> String {
    let mut shown = url.clone();
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown.set_fragment(None);
    shown.into()
}

fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

fn is_loopback_host(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => is_localhost(name),
        Host::Ipv4(ip) => AddressKind::of(IpAddr::V4(*ip)) == AddressKind::Loopback,
        Host::Ipv6(ip) => AddressKind::of(IpAddr::V6(*ip)) == AddressKind::Loopback,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AddressKind {
    Public,
    Loopback,
    Private,
    Forbidden,
}

impl AddressKind {
    fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::of_v4(ip),
            IpAddr::V6(ip) => Self::of_v6(ip),
        }
    }

    fn of_v4(ip: Ipv4Addr) -> Self {
        let [a, b, c, d] = ip.octets();
        // Metadata services that large clouds keep outside the link-local range.
        if matches!([a, b, c, d], [168, 63, 129, 16] | [100, 100, 100, 200]) {
            return Self::Forbidden;
        }
        match (a, b, c) {
            (127, ..) => Self::Loopback,
            (10, ..) | (192, 168, _) => Self::Private,
            (172, 16..=31, _) => Self::Private,
            // Carrier-grade NAT: somebody's inside all the same.
            (100, 64..=127, _) => Self::Private,
            (0, ..) | (169, 254, _) | (192, 0, 0) => Self::Forbidden,
            // Documentation, relays and benchmarks.
            (192, 0, 2) | (198, 51, 100) | (203, 0, 113) | (192, 88, 99) => Self::Forbidden,
            (198, 18..=19, _) => Self::Forbidden,
            (224..=255, ..) => Self::Forbidden,
            _ => Self::Public,
        }
    }

    fn of_v6(ip: Ipv6Addr) -> Self {
        if ip == Ipv6Addr::LOCALHOST {
            return Self::Loopback;
        }
        let s = ip.segments();
        let embedded = |high: u16, low: u16| {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            Self::of_v4(Ipv4Addr::new(a, b, c, d))
        };
        match s {
            [0, 0, 0, 0, 0, 0xffff, high, low] => embedded(high, low),
            // NAT64 and 6to4 reach the IPv4 address that they carry.
            [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
            [0x2002, high, low, ..] => embedded(high, low),
            // Metadata services of large clouds live inside the unique-local range.
            [0xfd00, 0xec2, ..] | [0xfd20, 0xce, ..] => Self::Forbidden,
            [0xfc00..=0xfdff, ..] => Self::Private,
            [0x2001, 0, ..] | [0x2001, 0xdb8, ..] | [0x3fff, ..] => Self::Forbidden,
            [0x2000..=0x3fff, ..] => Self::Public,
            _ => Self::Forbidden,
        }
    }
}

pub type Lookup = Arc<
    dyn Fn(String) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<SocketAddr>>> + Send>>
        + Send
        + Sync,
>;

/// Asks the system for the addresses of a name.
pub fn system_lookup() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            Ok(tokio::net::lookup_host((name, 0))
                .await?
                .collect::<Vec<_>>())
        })
    })
}

/// Resolves a name once and hands out only addresses that the policy allows, so that what was
/// checked is what is connected to.
#[derive(Clone)]
pub(super) struct CheckedResolver {
    pub policy: TargetPolicy,
    pub lookup: Lookup,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let found = (self.lookup)(host.clone());
        let policy = self.policy;
        Box::pin(async move {
            let allowed = allowed(policy, &host, found.await?)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Of a name's addresses those that the policy allows; a refusal when it allows none of them.
fn allowed(
    policy: TargetPolicy,
    host: &str,
    found: Vec<SocketAddr>,
) -> Result<Vec<SocketAddr>, TargetRefusal> {
    let mut refusal = None;
    let mut allowed = Vec::new();
    for address in found {
        match policy.check_ip(host, address.ip()) {
            // Plain http is allowed to "localhost" by name: it has to be that.
            Ok(())
                if is_localhost(host) && AddressKind::of(address.ip()) != AddressKind::Loopback =>
            {
                refusal = Some(TargetRefusal::Forbidden {
                    host: host.to_owned(),
                });
            }
            Ok(()) => allowed.push(address),
            Err(refused) => refusal = Some(refused),
        }
    }
    match refusal {
        Some(refused) if allowed.is_empty() => Err(refused),
        _ => Ok(allowed),
    }
}

/// Why a host that is not spoken to over HTTP can't be reached.
#[derive(Debug, thiserror::Error)]
pub enum ResolveFailure {
    #[error(transparent)]
    Refused(#[from] TargetRefusal),
    #[error("{host} could not be found: {cause}.")]
    Unknown { host: String, cause: String },
}

/// The addresses of a host that may be connected to, for what is not HTTP.
pub async fn resolve(
    policy: TargetPolicy,
    lookup: &Lookup,
    host: &str,
) -> Result<Vec<IpAddr>, ResolveFailure> {
    let unknown = |cause: String| ResolveFailure::Unknown {
        host: host.to_owned(),
        cause,
    };
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    let found = match literal.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, 0)],
        Err(_) => lookup(host.to_owned())
            .await
            .map_err(|error| unknown(error.to_string()))?,
    };
    let allowed = allowed(policy, host, found)?;
    if allowed.is_empty() {
        return Err(unknown("it has no address".to_owned()));
    }
    Ok(allowed.into_iter().map(|address| address.ip()).collect())
}

/// Whether an address is this machine itself.
pub fn is_loopback(ip: IpAddr) -> bool {
    AddressKind::of(ip) == AddressKind::Loopback
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(policy: TargetPolicy, address: &str) -> Option<&'static str> {
        let url = Url::parse(address).unwrap();
        policy.check(&url).err().map(|refusal| refusal.code())
    }

    #[test]
    fn public_https_addresses_pass_and_everything_inside_is_refused() {
        let strict = TargetPolicy::default();
        for address in [
            "https://app.asana.com/api/1.0/scim",
            "https://8.8.8.8/",
            "https://[2606:4700::1111]/",
        ] {
            assert_eq!(refused(strict, address), None, "{address}");
        }
        for (address, code) in [
            ("http://app.asana.com/", "target-not-https"),
            ("ftp://app.asana.com/", "target-not-https"),
            (
                "https://me:pw@app.asana.com/",
                "target-credential-in-address",
            ),
            ("https://localhost/", "target-loopback"),
            ("https://LOCALHOST./", "target-loopback"),
            ("https://scim.localhost/", "target-loopback"),
            ("https://127.0.0.1/", "target-loopback"),
            ("https://127.1/", "target-loopback"),
            ("https://0x7f000001/", "target-loopback"),
            ("https://2130706433/", "target-loopback"),
            ("https://[::1]/", "target-loopback"),
            ("https://[::ffff:127.0.0.1]/", "target-loopback"),
            ("https://[64:ff9b::7f00:1]/", "target-loopback"),
            ("https://[2002:7f00:1::]/", "target-loopback"),
            ("https://10.1.2.3/", "target-private"),
            ("https://172.16.0.1/", "target-private"),
            ("https://172.31.255.255/", "target-private"),
            ("https://192.168.1.1/", "target-private"),
            ("https://100.64.0.1/", "target-private"),
            ("https://[fd12::1]/", "target-private"),
            ("https://[::ffff:10.0.0.1]/", "target-private"),
            ("https://169.254.169.254/", "target-forbidden"),
            ("https://[::ffff:169.254.169.254]/", "target-forbidden"),
            ("https://[fd00:ec2::254]/", "target-forbidden"),
            ("https://[fd20:ce::254]/", "target-forbidden"),
            ("https://100.100.100.200/", "target-forbidden"),
            ("https://168.63.129.16/", "target-forbidden"),
            ("https://0xa9fea9fe/", "target-forbidden"),
            ("https://0251.0376.0251.0376/", "target-forbidden"),
            ("https://2852039166/", "target-forbidden"),
            ("https://169.254.169.254./", "target-forbidden"),
            ("https://[64:ff9b::a9fe:a9fe]/", "target-forbidden"),
            ("https://[64:ff9b:1::a9fe:a9fe]/", "target-forbidden"),
            ("https://[::ffff:0:a9fe:a9fe]/", "target-forbidden"),
            ("https://[3fff::1]/", "target-forbidden"),
            ("https://[fe80::1]/", "target-forbidden"),
            ("https://0.0.0.0/", "target-forbidden"),
            ("https://[::]/", "target-forbidden"),
            ("https://[::7f00:1]/", "target-forbidden"),
            ("https://224.0.0.1/", "target-forbidden"),
            ("https://255.255.255.255/", "target-forbidden"),
        ] {
            assert_eq!(refused(strict, address), Some(code), "{address}");
        }
    }

    #[test]
    fn loopback_allowance_opens_loopback_with_plain_http_and_nothing_else() {
        let policy = TargetPolicy {
            allow_loopback: true,
            allow_private: false,
        };
        for address in [
            "http://127.0.0.1:8080/scim",
            "http://localhost:8080/scim",
            "http://[::1]:1/",
            "https://127.0.0.1/",
        ] {
            assert_eq!(refused(policy, address), None, "{address}");
        }
        for (address, code) in [
            ("http://app.asana.com/", "target-not-https"),
            ("http://10.0.0.1/", "target-not-https"),
            ("https://10.0.0.1/", "target-private"),
            ("https://169.254.169.254/", "target-forbidden"),
        ] {
            assert_eq!(refused(policy, address), Some(code), "{address}");
        }
    }

    #[test]
    fn private_allowance_keeps_https_and_never_opens_metadata() {
        let policy = TargetPolicy {
            allow_loopback: false,
            allow_private: true,
        };
        assert_eq!(refused(policy, "https://10.0.0.1/"), None);
        assert_eq!(
            refused(policy, "http://10.0.0.1/"),
            Some("target-not-https")
        );
        assert_eq!(
            refused(policy, "https://127.0.0.1/"),
            Some("target-loopback")
        );
        for metadata in [
            "https://169.254.169.254/",
            "https://100.100.100.200/",
            "https://[fd00:ec2::254]/",
            "https://[fd20:ce::254]/",
        ] {
            assert_eq!(refused(policy, metadata), Some("target-forbidden"));
        }
    }

    #[test]
    fn a_shown_address_has_no_credential_and_no_query() {
        let url = Url::parse("https://me:secret@host.example:8443/scim?token=abc#x").unwrap();
        assert_eq!(shown_address(&url), "https://host.example:8443/scim");
    }
}
