//! Webhooks: JSON, posted and signed after the rules of Standard Webhooks.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use sha2::Sha256;
use url::Url;

use super::excerpt::excerpt;
use super::http::{Outgoing, SendFailure, host_and_port};

pub const ID: &str = "webhook-id";
pub const TIMESTAMP: &str = "webhook-timestamp";
pub const SIGNATURE: &str = "webhook-signature";
const PREFIX: &str = "whsec_";

#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    #[error(transparent)]
    Send(#[from] SendFailure),
    #[error("{host} answered {status}{}", said(.answer))]
    Answer {
        host: String,
        status: u16,
        answer: String,
    },
    #[error("The secret of this webhook can't be read. Make a new one.")]
    Secret,
}

fn said(answer: &str) -> String {
    if answer.is_empty() {
        ".".to_owned()
    } else {
        format!(": {answer}")
    }
}

/// A secret of 32 bytes, as receivers' libraries expect it.
pub fn new_secret() -> SecretString {
    let bytes: [u8; 32] = rand::random();
    format!("{PREFIX}{}", BASE64_STANDARD.encode(bytes)).into()
}

/// Posts one message, once. Anything but 2xx is an error; redirects are not followed.
pub async fn post(
    outgoing: &Outgoing,
    url: &Url,
    secret: &SecretString,
    id: &str,
    body: &Value,
    now: DateTime<Utc>,
) -> Result<(), WebhookError> {
    let body = body.to_string();
    let timestamp = now.timestamp().to_string();
    let signature = sign(secret, id, &timestamp, &body).ok_or(WebhookError::Secret)?;
    let request = outgoing
        .client()
        .post(url.clone())
        .header(http::header::CONTENT_TYPE, "application/json")
        .header(ID, id)
        .header(TIMESTAMP, timestamp)
        .header(SIGNATURE, signature)
        .body(body);
    let answer = outgoing.send_write(request).await?;
    if answer.status.is_success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&answer.body);
    let shown = if answer.is_web_page() {
        "a web page".to_owned()
    } else {
        excerpt(&text, &[secret.expose_secret()])
    };
    Err(WebhookError::Answer {
        host: host_and_port(url),
        status: answer.status.as_u16(),
        answer: shown,
    })
}

/// `v1,` and the base64 of the HMAC-SHA-256 of id, timestamp and body, joined by dots.
pub fn sign(secret: &SecretString, id: &str, timestamp: &str, body: &str) -> Option<String> {
    let key = secret.expose_secret().strip_prefix(PREFIX)?;
    let key = BASE64_STANDARD.decode(key).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    let tag = BASE64_STANDARD.encode(mac.finalize().into_bytes());
    Some(format!("v1,{tag}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_signed_as_the_standard_says() {
        // The example of the specification.
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signature = sign(
            &secret,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(
            signature.as_deref(),
            Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
        );
        assert_eq!(sign(&"plain".into(), "a", "1", ""), None);
        assert_ne!(
            new_secret().expose_secret(),
            new_secret().expose_secret(),
            "made anew each time"
        );
    }
}
