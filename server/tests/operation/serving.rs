//! How requests come in: https by the program itself, or through a proxy; and how it ends.

use std::time::{Duration, Instant};

use reqwest::redirect::Policy;
use server::store::events::{self, EventFilter, Order};
use sqlx::PgPool;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::company::{Company, NEVER, output, terminate};

const EMAIL: &str = "ada@northmoor.example";

fn client() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(Policy::none())
        .no_proxy()
}

#[sqlx::test(migrations = "./migrations")]
async fn asked_to_stop_it_finishes_the_request_in_flight_and_ends_within_ten_seconds(pool: PgPool) {
    let company = Company::found(pool).await;
    let (mut process, base) = company.console(&[], &[]).await;
    let address = base.strip_prefix("http://").unwrap();
    let mut request = TcpStream::connect(address).await.unwrap();
    let body = "email=nobody%40example.com&password=wrong-password-here";
    let (first, second) = body.split_at(10);
    let head = format!(
        "POST /api/sign_in HTTP/1.1\r\nHost: {address}\r\nAccept: application/json\r\nConnection: close\r\n\
         Expect: 100-continue\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    request.write_all(head.as_bytes()).await.unwrap();
    // Its word to go on proves that the request is in hand: one not yet read may be refused.
    let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut said = vec![0; go_on.len()];
    request.read_exact(&mut said).await.unwrap();
    assert_eq!(said, go_on);
    request.write_all(first.as_bytes()).await.unwrap();

    terminate(&process);
    let asked = Instant::now();
    // No new connection is taken once it has begun to end; then the rest of the request arrives.
    let closed = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(NEVER, closed).await.unwrap();
    request.write_all(second.as_bytes()).await.unwrap();
    let mut answer = String::new();
    request.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    let ended = tokio::time::timeout(NEVER, process.wait()).await.unwrap();
    assert_eq!(ended.unwrap().code(), Some(0));
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "{:?}",
        asked.elapsed()
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn with_a_certificate_it_speaks_https_itself_and_takes_a_new_one_on_sighup(pool: PgPool) {
    let company = Company::found(pool).await;
    company.add_auditor(EMAIL, "a long password for ada").await;
    let issue = || {
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        company.program.write("cert.pem", &pair.cert.pem());
        company
            .program
            .write("key.pem", &pair.signing_key.serialize_pem());
        pair.cert.pem()
    };
    let trusting = |pem: &str| {
        let certificate = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
        client()
            .tls_certs_only([certificate])
            .pool_max_idle_per_host(0)
            .build()
            .unwrap()
    };
    let first = issue();
    let folder = company.program.folder.path();
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let arguments = [
        "--tls-cert",
        certificate.to_str().unwrap(),
        "--tls-key",
        key.to_str().unwrap(),
    ];
    let (process, base) = company.console(&arguments, &[]).await;
    assert!(base.starts_with("https://127.0.0.1:"), "{base}");
    let base = base.replace("127.0.0.1", "localhost");

    let page = trusting(&first)
        .get(format!("{base}/sign-in"))
        .send()
        .await
        .unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.headers().contains_key("strict-transport-security"));
    let signed_in = trusting(&first)
        .post(format!("{base}/api/sign_in"))
        .header("origin", &base)
        .form(&[("email", EMAIL), ("password", "a long password for ada")])
        .send()
        .await
        .unwrap();
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("__Host-rollcall="), "{cookie}");
    assert!(
        cookie.contains("Secure") && cookie.contains("HttpOnly"),
        "{cookie}"
    );
    let plain = client().build().unwrap();
    let plain = plain.get(base.replace("https", "http")).send().await;
    assert!(plain.is_err(), "{plain:?}");

    // A key that does not belong to the certificate changes nothing; a new pair is taken.
    let second = issue();
    let pid = i32::try_from(process.id().unwrap()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    let renewed = async {
        while trusting(&second)
            .get(format!("{base}/healthz"))
            .send()
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(NEVER, renewed).await.unwrap();
    assert!(trusting(&first).get(&base).send().await.is_err());
}

#[sqlx::test(migrations = "./migrations")]
async fn a_mistake_about_certificate_or_proxy_is_one_line(pool: PgPool) {
    let company = Company::found(pool).await;
    let site = company.program.folder.path().join("site");
    std::fs::create_dir_all(site.join("pkg")).unwrap();
    let empty = company.program.write("empty.pem", "nothing");
    let empty = empty.to_str().unwrap();
    for (arguments, part) in [
        (&["--tls-cert", empty][..], "--tls-key"),
        (
            &["--tls-cert", empty, "--tls-key", empty],
            "holds no certificate",
        ),
        (&["--trusted-proxy", "10.0.0.0/8"], "ROLLCALL_PUBLIC_URL"),
        (&["--trusted-proxy", "ten"], "10.0.0.0/8"),
    ] {
        let mut all = vec!["serve", "--addr", "127.0.0.1:0"];
        all.extend(arguments);
        let mut command = company.program.command(&all);
        let said = output(command.env("ROLLCALL_SITE_DIR", &site)).await;
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.line().contains(part), "{said:?}");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn behind_a_proxy_the_visitors_address_is_what_a_trusted_proxy_says(pool: PgPool) {
    let company = Company::found(pool.clone()).await;
    company.add_auditor(EMAIL, "a long password for ada").await;
    let public = [("ROLLCALL_PUBLIC_URL", "https://rollcall.example.com")];
    let fail = async |base: &str, forwarded: &str| {
        client()
            .build()
            .unwrap()
            .post(format!("{base}/api/sign_in"))
            .header("origin", "https://rollcall.example.com")
            .header("x-forwarded-for", forwarded)
            .header("x-forwarded-proto", "https")
            .form(&[("email", EMAIL), ("password", "a wrong password for ada")])
            .send()
            .await
            .unwrap()
    };
    let (_trusting, base) = company
        .console(&["--trusted-proxy", "127.0.0.0/8"], &public)
        .await;
    fail(&base, "192.0.2.1, 198.51.100.7").await;
    let (_other, untrusting) = company
        .console(&["--trusted-proxy", "10.0.0.0/8"], &public)
        .await;
    fail(&untrusting, "198.51.100.8").await;
    let mut db = pool.acquire().await.unwrap();
    let filter = EventFilter {
        event: Some("Failed sign in".to_owned()),
        ..EventFilter::default()
    };
    let events = events::page(&mut db, &filter, Order::NewestFirst, None, 10)
        .await
        .unwrap();
    let told: Vec<String> = events
        .iter()
        .map(|event| event.detail.clone().unwrap_or_default().to_string())
        .collect();
    assert_eq!(told.len(), 2);
    assert!(told[0].contains("127.0.0.1"), "{told:?}");
    assert!(told[1].contains("198.51.100.7"), "{told:?}");
    assert!(!told.concat().contains("192.0.2.1"), "{told:?}");

    // Who came to the proxy in the clear is sent to https, and what was posted is refused.
    let plain = |request: reqwest::RequestBuilder| request.header("x-forwarded-proto", "http");
    let client = client().build().unwrap();
    let page = plain(client.get(format!("{base}/sign-in?next=%2Faudit")))
        .send()
        .await
        .unwrap();
    assert_eq!(page.status(), 308);
    assert_eq!(
        page.headers()["location"],
        "https://rollcall.example.com/sign-in?next=%2Faudit"
    );
    let posted = plain(client.post(format!("{base}/api/sign_in")))
        .send()
        .await
        .unwrap();
    assert_eq!(posted.status(), 403);
    let direct = plain(client.get(format!("{untrusting}/sign-in")))
        .send()
        .await
        .unwrap();
    assert_eq!(direct.status(), 200);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_worker_answers_for_its_health_on_an_address_of_its_own(pool: PgPool) {
    let company = Company::found(pool).await;
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let mut worker = company
        .program
        .start(&["worker", "--health-addr", &address]);
    let client = client().build().unwrap();
    let ready = async {
        loop {
            match client.get(format!("http://{address}/readyz")).send().await {
                Ok(answer) if answer.status() == 200 => break,
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(NEVER, ready).await.unwrap();
    let metrics = client
        .get(format!("http://{address}/metrics"))
        .send()
        .await
        .unwrap();
    assert!(metrics.text().await.unwrap().contains("rollcall_"));
    let page = client
        .get(format!("http://{address}/"))
        .send()
        .await
        .unwrap();
    assert_eq!(page.status(), 404);
    terminate(&worker);
    let ended = tokio::time::timeout(NEVER, worker.wait()).await.unwrap();
    assert_eq!(ended.unwrap().code(), Some(0));
}

#[sqlx::test(migrations = "./migrations")]
async fn proxies_that_the_environment_names_are_not_used(pool: PgPool) {
    let company = Company::found(pool).await;
    // Whoever took a request here would get the token.
    let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let settings: Vec<(&str, &str)> = [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ]
    .map(|name| (name, address.as_str()))
    .to_vec();
    let file = company.written();
    for command in [
        &["config", "apply", "-f", &file, "--check"][..],
        &["sync", "--app", "app", "--json"],
    ] {
        let said = company.rollcall_with(command, &settings).await;
        assert_eq!(said.code, Some(0), "{said:?}");
    }
    let came = tokio::time::timeout(Duration::ZERO, proxy.accept()).await;
    assert!(came.is_err(), "nobody came to the proxy");
}
