//! E-mail by SMTP, to the addresses that `targets` allows.

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use secrecy::{ExposeSecret as _, SecretString};

use super::excerpt::excerpt;
use super::targets::{ResolveFailure, TargetPolicy, is_loopback, resolve, system_lookup};

/// Of one command, and of the whole.
const COMMAND_LASTS: Duration = Duration::from_secs(15);
const ALL_LASTS: Duration = Duration::from_secs(40);

/// How the connection is kept from being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    Tls,
    Starttls,
    /// Only to this machine.
    None,
}

#[derive(Debug)]
pub struct MailServer {
    pub host: String,
    pub port: u16,
    pub security: Security,
    /// User name and password, when the server asks for them.
    pub login: Option<(String, SecretString)>,
}

#[derive(Debug)]
pub struct Mail<'a> {
    /// The same for each try, so that receivers know a message that they have seen.
    pub id: String,
    pub sender: &'a str,
    pub recipients: &'a [String],
    pub subject: &'a str,
    pub text: String,
}

#[derive(Debug, thiserror::Error)]
pub enum MailError {
    #[error(transparent)]
    Target(#[from] ResolveFailure),
    #[error(
        "{host} is not this machine: without TLS, nothing is sent to it. Choose TLS or STARTTLS."
    )]
    PlainElsewhere { host: String },
    #[error("{0} is not an address that mail can be sent to.")]
    Address(String),
    #[error("The message could not be written: {0}.")]
    Message(String),
    #[error("{host} did not take the message: {}.", cause.trim_end_matches('.'))]
    Server { host: String, cause: String },
    #[error("{host} did not finish within {} seconds.", ALL_LASTS.as_secs())]
    TimedOut { host: String },
}

/// Sends one message, once.
pub async fn send(
    policy: TargetPolicy,
    server: &MailServer,
    mail: &Mail<'_>,
) -> Result<(), MailError> {
    super::install_crypto();
    let message = message(mail)?;
    let host = &server.host;
    let addresses = resolve(policy, &system_lookup(), host).await?;
    if server.security == Security::None && !addresses.iter().copied().all(is_loopback) {
        return Err(MailError::PlainElsewhere { host: host.clone() });
    }
    // The address that was checked is connected to; the certificate has to be the name's.
    let address = addresses.first().map(ToString::to_string);
    let failed = |error: lettre::transport::smtp::Error| {
        let secret = server.login.as_ref().map(|(_, password)| password);
        let hidden = secret.map(|secret| secret.expose_secret().to_owned());
        MailError::Server {
            host: host.clone(),
            cause: excerpt(&causes(&error), &[hidden.as_deref().unwrap_or_default()]),
        }
    };
    let tls = match server.security {
        Security::None => Tls::None,
        Security::Tls => Tls::Wrapper(TlsParameters::new(host.clone()).map_err(failed)?),
        Security::Starttls => Tls::Required(TlsParameters::new(host.clone()).map_err(failed)?),
    };
    let name = mail
        .sender
        .rsplit_once('@')
        .map_or("localhost", |(_, domain)| domain);
    let mut transport =
        AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.unwrap_or_default())
            .port(server.port)
            .tls(tls)
            .hello_name(ClientId::Domain(name.trim_end_matches('>').to_owned()))
            .timeout(Some(COMMAND_LASTS));
    if let Some((user, password)) = &server.login {
        let password = password.expose_secret().to_owned();
        transport = transport.credentials(Credentials::new(user.clone(), password));
    }
    let transport = transport.build();
    match tokio::time::timeout(ALL_LASTS, transport.send(message)).await {
        Ok(sent) => sent.map(drop).map_err(failed),
        Err(_) => Err(MailError::TimedOut { host: host.clone() }),
    }
}

fn message(mail: &Mail<'_>) -> Result<Message, MailError> {
    let mailbox = |text: &str| {
        text.parse::<Mailbox>()
            .map_err(|_| MailError::Address(text.to_owned()))
    };
    let mut message = Message::builder()
        .from(mailbox(mail.sender)?)
        .message_id(Some(format!("<{}@rollcall>", mail.id)))
        .subject(mail.subject);
    for recipient in mail.recipients {
        message = message.to(mailbox(recipient)?);
    }
    message
        .header(lettre::message::header::ContentType::TEXT_PLAIN)
        .body(mail.text.clone())
        .map_err(|error| MailError::Message(error.to_string()))
}

/// Whether somebody can be written to at this address; a name before it is fine.
pub fn is_address(text: &str) -> bool {
    text.parse::<Mailbox>().is_ok()
}

/// The error with what caused it, each once.
fn causes(error: &lettre::transport::smtp::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        let said = inner.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        source = inner.source();
    }
    text
}
