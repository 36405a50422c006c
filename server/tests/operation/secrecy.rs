//! Whatever happens, no secret is in a log, an output, a page, an export or a dump of the database.

use std::fmt::Write as _;
use std::process::Stdio;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use sqlx::PgPool;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::backup::{postgres_program, url_of};
use crate::company::{Company, KEY, NEVER, NEW_KEY, terminate};
use crate::program::Said;
use crate::traces::Collector;

const EMAIL: &str = "ada@northmoor.example";
const PASSWORD: &str = "correct-horse-battery-ada";
const WRONG: &str = "wrong-staple-battery-ada";
const MISTAKEN: &str = "mistaken-token-0123456789abcdef";

/// Everything that was written somewhere, by where that was.
#[derive(Default)]
struct Written(Vec<(String, String)>);

impl Written {
    fn add(&mut self, place: &str, text: impl Into<String>) {
        self.0.push((place.to_owned(), text.into()));
    }

    fn said(&mut self, place: &str, said: &Said) {
        self.add(&format!("output of {place}"), &*said.out);
        self.add(&format!("log of {place}"), &*said.err);
    }

    fn assert_silent_about(&self, name: &str, secret: &str) {
        for form in forms(secret) {
            for (place, text) in &self.0 {
                if let Some(at) = text.find(&form) {
                    let from = text[..at].rfind('\n').map_or(0, |at| at + 1);
                    let line: String = text[from..].chars().take(400).collect();
                    panic!("{name} is in the {place}: {line}");
                }
            }
        }
    }
}

/// As it is, and as it looks inside base64 (whatever stands before it), hexadecimal and addresses.
fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned()];
    for before in 0..3 {
        let padded = format!("{}{secret}", "x".repeat(before));
        let text = BASE64_STANDARD.encode(&padded[..padded.len() / 3 * 3]);
        let own = if before == 0 { 0 } else { 4 };
        forms.push(text[own..].to_owned());
    }
    let mut hex = String::new();
    for byte in secret.bytes() {
        write!(hex, "{byte:02x}").unwrap();
    }
    forms.push(hex);
    forms.push(url::form_urlencoded::byte_serialize(secret.as_bytes()).collect());
    forms
}

/// A line from the middle of the service account's private key.
fn piece_of_the_private_key(key_file: &str) -> String {
    let key: Value = serde_json::from_str(key_file).unwrap();
    let pem = key["private_key"].as_str().unwrap();
    let lines: Vec<&str> = pem.lines().collect();
    lines[lines.len() / 2].to_owned()
}

#[sqlx::test(migrations = "./migrations")]
async fn after_a_whole_journey_no_secret_is_found_anywhere(pool: PgPool) {
    let company = Company::found(pool.clone()).await;
    let mut written = Written::default();
    let collector = Collector::listen().await;
    let trace = [
        ("ROLLCALL_LOG", "trace"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address.as_str()),
    ];
    let file = company.written();
    let key_file = company.sandbox.service_account_key_json(&company.base);
    let token = company.sandbox.asana_token();

    let run = async |written: &mut Written, command: &[&str]| {
        let said = company.rollcall_with(command, &trace).await;
        written.said(&command.join(" "), &said);
        said
    };
    written.said("admin create", &company.add_auditor(EMAIL, PASSWORD).await);
    company.program.write("token", MISTAKEN);
    run(&mut written, &["config", "apply", "-f", &file, "--check"]).await;
    company.program.write("token", &token);
    for command in [
        &["config", "apply", "-f", &file, "--check"][..],
        &["sync", "--app", "app", "--preview", "--json"],
        &["sync", "--app", "app", "--json"],
        &["directory", "--json"],
        &["doctor"],
        &["config", "export"],
        &["config", "diff", "-f", &file],
    ] {
        let said = run(&mut written, command).await;
        assert!(said.code == Some(0), "{command:?}: {}", said.out);
    }

    // A console: a wrong password, the right one, and pages.
    let (mut console, base) = console(&company, &trace).await;
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap();
    let mut cookie = String::new();
    for password in [WRONG, PASSWORD] {
        let answer = client
            .post(format!("{base}/api/sign_in"))
            .header("accept", "text/html")
            .form(&[("email", EMAIL), ("password", password)])
            .send()
            .await
            .unwrap();
        written.add(
            "headers of signing in",
            format!("{:?}", answer.headers().get("location")),
        );
        if let Some(set) = answer.headers().get("set-cookie") {
            let set = set.to_str().unwrap();
            cookie = set.split(';').next().unwrap().to_owned();
        }
        written.add("answer to signing in", answer.text().await.unwrap());
    }
    for path in [
        "/",
        "/directory/connection",
        "/apps/app",
        "/apps/app/autoprovisioning",
        "/apps/app/autoprovisioning/authorize",
        "/apps/app/accounts",
        "/audit",
        "/administrators",
        "/settings",
        "/about",
        "/nothing-is-here",
    ] {
        let page = client
            .get(format!("{base}{path}"))
            .header("cookie", &cookie)
            .send()
            .await
            .unwrap();
        written.add(&format!("page {path}"), page.text().await.unwrap());
    }
    // Bodies of errors: a token that is refused, and one that is no form at all.
    for body in [
        format!("slug=app&token={MISTAKEN}&endpoint=https%3A%2F%2F127.0.0.1%2F"),
        format!("{{\"token\":\"{MISTAKEN}\""),
    ] {
        for function in ["reauthorize", "save_authorization", "save_connection"] {
            let answer = client
                .post(format!("{base}/api/{function}"))
                .header("cookie", &cookie)
                .header("content-type", "application/x-www-form-urlencoded")
                .body(body.clone())
                .send()
                .await
                .unwrap();
            written.add(
                &format!("answer of {function}"),
                answer.text().await.unwrap(),
            );
        }
    }
    terminate(&console);
    tokio::time::timeout(NEVER, console.wait())
        .await
        .unwrap()
        .unwrap();
    let log = company.program.folder.path().join("console.log");
    let log = String::from_utf8_lossy(&std::fs::read(log).unwrap()).into_owned();
    assert!(log.contains("TRACE"), "the console logs everything");
    written.add("log of the console", log);

    // The app refuses its token; then the key changes.
    company.sandbox.revoke_asana_token(false);
    let said = run(&mut written, &["sync", "--app", "app", "--drift", "--json"]).await;
    assert_eq!(said.code, Some(1), "{}", said.out);
    run(&mut written, &["doctor", "--json"]).await;
    let rotated = company
        .rollcall_with(
            &["secrets", "rotate"],
            &[
                trace[0],
                trace[1],
                ("ROLLCALL_SECRET_KEY", NEW_KEY),
                ("ROLLCALL_SECRET_KEY_OLD", KEY),
            ],
        )
        .await;
    assert_eq!(rotated.code, Some(0), "{}", rotated.err);
    written.said("secrets rotate", &rotated);
    for format in ["csv", "ndjson", "reports"] {
        let exported = company
            .rollcall_with(
                &["audit", "export", "--format", format],
                &[trace[0], trace[1], ("ROLLCALL_SECRET_KEY", NEW_KEY)],
            )
            .await;
        assert_eq!(exported.code, Some(0));
        written.said(&format!("audit export --format {format}"), &exported);
    }
    let name = pool.connect_options().get_database().unwrap().to_owned();
    let dump = Command::new(postgres_program("pg_dump"))
        .args(["--inserts", &url_of(&name)])
        .output()
        .await
        .unwrap();
    let dump = String::from_utf8(dump.stdout).unwrap();
    assert!(dump.contains("INSERT INTO public.events"));
    written.add("dump", dump);

    let sent = collector.taken();
    assert!(
        ["apply", "outgoing", "request"]
            .iter()
            .all(|name| sent.contains(name))
    );
    written.add("traces", sent);

    let session = cookie.split('=').nth(1).unwrap();
    for (name, secret) in [
        ("the token", token.as_str()),
        ("a mistaken token", MISTAKEN),
        ("the private key", &piece_of_the_private_key(&key_file)),
        ("the password", PASSWORD),
        ("a wrong password", WRONG),
        ("the secret key", KEY),
        ("the new secret key", NEW_KEY),
        ("the cookie", session),
    ] {
        assert!(secret.len() >= 16, "{name} is long enough to be looked for");
        written.assert_silent_about(name, secret);
    }
}

/// A console that logs everything into a file.
async fn console(company: &Company, settings: &[(&str, &str)]) -> (Child, String) {
    let site = company.program.folder.path().join("site");
    std::fs::create_dir_all(site.join("pkg")).unwrap();
    let log = std::fs::File::create(company.program.folder.path().join("console.log")).unwrap();
    let mut process = company
        .program
        .command(&["serve", "--no-worker", "--addr", "127.0.0.1:0"])
        .env("ROLLCALL_SITE_DIR", &site)
        .envs(settings.iter().copied())
        .stderr(Stdio::from(log))
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    loop {
        let line = lines.next_line().await.unwrap().expect("serve has ended");
        if let Some(base) = line.strip_prefix("Rollcall is ready at ") {
            return (process, base.to_owned());
        }
    }
}
