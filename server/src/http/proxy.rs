//! Who a visitor is when a proxy stands in between.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use ipnet::IpNet;
use url::Url;

use super::tls::Peer;

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// The networks of proxies whose word about the visitor counts. Nobody else's does.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl FromIterator<IpNet> for TrustedProxies {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        Self(networks.into_iter().collect())
    }
}

impl TrustedProxies {
    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The nearest address that is not one of our proxies'. Each proxy adds whom it spoke with at the
    /// end, so what stands before the first stranger may be made up.
    fn visitor(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut nearest = peer;
        let lines = headers.get_all(FORWARDED_FOR).iter();
        let text: Vec<&str> = lines.filter_map(|line| line.to_str().ok()).collect();
        let text = text.join(",");
        for hop in text.rsplit(',') {
            if !self.trusts(nearest) {
                break;
            }
            match address(hop.trim()) {
                Some(hop) => nearest = hop,
                None => break,
            }
        }
        nearest
    }
}

/// With or without a port, in brackets or not.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let parsed = bare.unwrap_or(text).parse::<IpAddr>();
    let parsed = parsed.or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    parsed.ok().map(|address| address.to_canonical())
}

#[derive(Clone, Debug)]
pub(super) struct Proxied {
    pub proxies: TrustedProxies,
    /// Where browsers are sent that came to the proxy without https.
    pub https: Option<Url>,
}

/// Puts the visitor's address in the place of the proxy's, for everything that comes after.
pub(super) async fn identify(
    State(proxied): State<Proxied>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(peer) = peer(&request) else {
        return next.run(request).await;
    };
    let ip = peer.ip().to_canonical();
    let is_proxy = proxied.proxies.trusts(ip);
    let visitor = proxied.proxies.visitor(ip, request.headers());
    let visitor = if is_proxy {
        SocketAddr::new(visitor, 0)
    } else {
        SocketAddr::new(ip, peer.port())
    };
    request.extensions_mut().insert(ConnectInfo(visitor));
    if let Some(https) = &proxied.https
        && is_proxy
        && came_without_https(request.headers())
    {
        return refuse_plain(https, &request);
    }
    next.run(request).await
}

fn peer(request: &Request) -> Option<SocketAddr> {
    let extensions = request.extensions();
    let accepted = extensions.get::<ConnectInfo<Peer>>();
    accepted
        .map(|ConnectInfo(Peer(address))| *address)
        .or_else(|| {
            extensions
                .get::<ConnectInfo<SocketAddr>>()
                .map(|ConnectInfo(address)| *address)
        })
}

fn came_without_https(headers: &HeaderMap) -> bool {
    let told = headers
        .get(FORWARDED_PROTO)
        .and_then(|value| value.to_str().ok());
    told.is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("http"))
}

/// What was typed into a form is not asked for again in the clear.
fn refuse_plain(https: &Url, request: &Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let text = "Rollcall is reached with https only. Open it there and try again.\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    let path = request.uri().path_and_query();
    let path = path.map_or("/", |path| path.as_str());
    let there = format!("{}{path}", https.origin().ascii_serialization());
    let mut answer = Redirect::permanent(&there).into_response();
    answer.headers_mut().insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static("no-store"),
    );
    answer
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn visitor(peer: &str, lines: &[&'static str]) -> String {
        let proxies: TrustedProxies = ["10.0.0.0/8", "fd00::/8"]
            .map(|network| network.parse().unwrap())
            .into_iter()
            .collect();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_static(line));
        }
        let peer = peer.parse().unwrap();
        proxies.visitor(peer, &headers).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed_and_only_up_to_the_first_stranger() {
        for (peer, lines, expected) in [
            ("203.0.113.9", &["198.51.100.1"][..], "203.0.113.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["192.0.2.66, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["198.51.100.1, 10.1.1.1"], "198.51.100.1"),
            ("10.0.0.1", &["198.51.100.1", "10.1.1.1"], "198.51.100.1"),
            ("10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("fd00::1", &["[2001:db8::1]:443"], "2001:db8::1"),
            ("10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["198.51.100.1, nonsense"], "10.0.0.1"),
            ("10.0.0.1", &["10.2.2.2, 10.1.1.1"], "10.2.2.2"),
        ] {
            assert_eq!(visitor(peer, lines), expected, "{peer} {lines:?}");
        }
    }
}
