use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use server::connectors::http::{SendFailure, fixed_lookup};
use server::connectors::targets::Lookup;
use server::connectors::{Outgoing, RequestLimits, TargetPolicy, TargetRefusal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wiremock::ResponseTemplate;

use crate::script::{Scripted, loopback};

async fn get(outgoing: &Outgoing, url: &str) -> Result<u16, SendFailure> {
    let request = outgoing.client().get(url);
    outgoing
        .send(request)
        .await
        .map(|answer| answer.status.as_u16())
}

fn resolving_to(policy: TargetPolicy, addresses: &[&str]) -> Outgoing {
    let addresses: Vec<SocketAddr> = addresses
        .iter()
        .map(|address| SocketAddr::new(address.parse().unwrap(), 0))
        .collect();
    let limits = RequestLimits {
        connect: Duration::from_secs(2),
        ..RequestLimits::default()
    };
    Outgoing::custom(policy, limits, fixed_lookup(addresses)).unwrap()
}

#[tokio::test]
async fn a_name_that_resolves_to_an_inside_address_is_refused_before_anything_is_sent() {
    for (address, refusal) in [
        ("127.0.0.1", "target-loopback"),
        ("::1", "target-loopback"),
        ("10.0.0.7", "target-private"),
        ("169.254.169.254", "target-forbidden"),
        ("::ffff:192.168.0.1", "target-private"),
        ("0.0.0.0", "target-forbidden"),
    ] {
        let outgoing = resolving_to(TargetPolicy::default(), &[address]);
        match get(&outgoing, "https://scim.example.com/Users").await {
            Err(SendFailure::Refused(refused)) => assert_eq!(refused.code(), refusal, "{address}"),
            other => panic!("{address}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_checked_for_each_connection() {
    let answers = [
        "127.0.0.1",
        "10.0.0.7",
        "169.254.169.254",
        "::ffff:10.0.0.7",
    ];
    let asked = Arc::new(AtomicUsize::new(0));
    let lookup: Lookup = {
        let asked = asked.clone();
        Arc::new(move |_| {
            let address = answers[asked.fetch_add(1, Ordering::SeqCst)];
            Box::pin(async move { Ok(vec![SocketAddr::new(address.parse().unwrap(), 0)]) })
        })
    };
    let outgoing = Outgoing::custom(loopback(), RequestLimits::default(), lookup).unwrap();
    // Nothing listens there, but it was allowed to try.
    let url = "https://scim.example.com:1/Users";
    let first = get(&outgoing, url).await.unwrap_err();
    assert!(matches!(first, SendFailure::NotConnected { .. }), "{first}");
    for _ in 1..answers.len() {
        let later = get(&outgoing, url).await.unwrap_err();
        assert!(matches!(later, SendFailure::Refused(_)), "{later}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), answers.len(), "once for each");
}

#[tokio::test]
async fn of_mixed_addresses_only_the_allowed_ones_are_tried() {
    // 192.0.2.1 is refused, so the loopback one is the one that is connected to.
    let script = Scripted::in_turn(vec![ResponseTemplate::new(204)]).await;
    let outgoing = resolving_to(loopback(), &["192.168.7.7", "127.0.0.1"]);
    let port = script.server.address().port();
    let url = format!("http://localhost:{port}/");
    assert_eq!(get(&outgoing, &url).await, Ok(204));
}

#[tokio::test]
async fn plain_http_by_the_name_localhost_really_goes_to_loopback() {
    let outgoing = resolving_to(loopback(), &["93.184.216.34"]);
    let failure = get(&outgoing, "http://localhost:1/").await.unwrap_err();
    assert!(
        matches!(
            failure,
            SendFailure::Refused(TargetRefusal::Forbidden { .. })
        ),
        "{failure}"
    );
}

#[tokio::test]
async fn a_literal_inside_address_is_refused_without_an_allowance() {
    let script = Scripted::in_turn(vec![ResponseTemplate::new(200)]).await;
    let strict = Outgoing::new(TargetPolicy::default()).unwrap();
    let failure = get(&strict, &script.server.uri()).await.unwrap_err();
    assert!(matches!(failure, SendFailure::Refused(_)), "{failure}");
    assert!(script.requests().await.is_empty());
}

#[tokio::test]
async fn redirects_are_answers_and_not_followed() {
    let elsewhere = Scripted::in_turn(vec![ResponseTemplate::new(200)]).await;
    let location = elsewhere.server.uri();
    for code in [301, 302, 303, 307, 308] {
        let redirect = ResponseTemplate::new(code).insert_header("location", &*location);
        let script = Scripted::in_turn(vec![redirect]).await;
        let request = script
            .outgoing
            .client()
            .get(script.server.uri())
            .bearer_auth("secret");
        assert_eq!(script.outgoing.send(request).await.unwrap().status, code);
    }
    assert!(elsewhere.requests().await.is_empty());
}

#[tokio::test]
async fn every_request_says_who_asks() {
    let script = Scripted::in_turn(vec![ResponseTemplate::new(200)]).await;
    get(&script.outgoing, &script.server.uri()).await.unwrap();
    let requests = script.requests().await;
    let agent = requests[0]
        .headers
        .get("user-agent")
        .unwrap()
        .to_str()
        .unwrap();
    assert_eq!(agent, concat!("Rollcall/", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let script = Scripted::in_turn(vec![
        ResponseTemplate::new(200).set_body_bytes(vec![b'x'; 5000]),
    ])
    .await;
    let limits = RequestLimits {
        answer: 4096,
        ..RequestLimits::default()
    };
    let outgoing = Outgoing::custom(
        loopback(),
        limits,
        server::connectors::targets::system_lookup(),
    )
    .unwrap();
    let failure = get(&outgoing, &script.server.uri()).await.unwrap_err();
    assert!(
        matches!(failure, SendFailure::TooLarge { limit: 4096, .. }),
        "{failure}"
    );
}

#[tokio::test]
async fn nobody_listening_is_not_sent_and_a_cut_connection_may_have_been() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let outgoing = Outgoing::new(loopback()).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut start = [0; 16];
        let _ = stream.read(&mut start).await;
        let _ = stream.shutdown().await;
    });
    let url = format!("http://{address}/");
    let cut = get(&outgoing, &url).await.unwrap_err();
    assert!(matches!(cut, SendFailure::Lost { .. }), "{cut:?}");
    assert!(cut.may_have_been_sent());
    let refused = get(&outgoing, &url).await.unwrap_err();
    assert!(
        matches!(refused, SendFailure::NotConnected { .. }),
        "{refused:?}"
    );
    assert!(!refused.may_have_been_sent());
    assert!(refused.to_string().contains("refused"), "{refused}");
}

#[tokio::test]
async fn silence_ends_in_a_time_out_that_may_have_been_sent() {
    let slow = ResponseTemplate::new(200).set_delay(Duration::from_secs(20));
    let script = Scripted::in_turn(vec![slow]).await;
    let limits = RequestLimits {
        total: Duration::from_millis(200),
        ..RequestLimits::default()
    };
    let outgoing = Outgoing::custom(
        loopback(),
        limits,
        server::connectors::targets::system_lookup(),
    )
    .unwrap();
    let failure = get(&outgoing, &script.server.uri()).await.unwrap_err();
    assert!(
        matches!(failure, SendFailure::TimedOut { .. }),
        "{failure:?}"
    );
    assert!(failure.may_have_been_sent());
}
