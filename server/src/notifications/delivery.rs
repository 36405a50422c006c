//! Messages leave the outbox. Each is taken before it is sent, so that a process that dies loses
//! none; whoever receives one twice knows it by its id.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use url::Url;
use uuid::Uuid;

use super::NotifyError;
use super::message::Message;
use crate::connectors::mail::{self, Mail, MailServer, Security};
use crate::connectors::webhook;
use crate::store::credentials::{self, Credential};
use crate::store::notifications::{
    self as store, Channel, ChannelId, ChannelSettings, MailSecurity, MessageKind, Outgoing,
};
use crate::sync::Engine;

/// Longer than a try may last.
const TAKEN_FOR: TimeDelta = TimeDelta::minutes(5);
/// Minutes between tries; after the last one a message is given up. Two days in all.
const PAUSES: [i64; 8] = [1, 5, 15, 60, 240, 480, 720, 1440];
const AT_ONCE: i64 = 50;
const KEPT_FOR: TimeDelta = TimeDelta::days(30);

/// What became of those that were due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivered {
    pub arrived: usize,
    pub failed: usize,
}

/// Sends everything that is due, once.
pub async fn deliver(engine: &Engine) -> Result<Delivered, NotifyError> {
    let now = engine.clock.now();
    let mut db = engine.connection().await?;
    store::prune(&mut db, now - KEPT_FOR).await?;
    let due = store::take_due(&mut db, now, now + TAKEN_FOR, AT_ONCE).await?;
    let channels = store::channels(&mut db).await?;
    drop(db);
    let mut delivered = Delivered::default();
    for outgoing in due {
        let Some(channel) = channels.iter().find(|one| one.id == outgoing.channel) else {
            continue;
        };
        match deliver_one(engine, channel, &outgoing).await? {
            true => delivered.arrived += 1,
            false => delivered.failed += 1,
        }
    }
    Ok(delivered)
}

async fn deliver_one(
    engine: &Engine,
    channel: &Channel,
    outgoing: &Outgoing,
) -> Result<bool, NotifyError> {
    let sent = match serde_json::from_value::<Message>(outgoing.message.clone()) {
        Ok(message) => send(engine, channel, outgoing.id, outgoing.kind, &message).await?,
        Err(error) => Err(format!("The stored message can't be read: {error}")),
    };
    let now = engine.clock.now();
    let mut transaction = engine.pool.begin().await?;
    match &sent {
        Ok(()) => store::delivered(&mut transaction, outgoing.id, now).await?,
        Err(error) => {
            let next = next_try(outgoing.attempts, now);
            store::not_delivered(&mut transaction, outgoing.id, error, next).await?;
            tracing::warn!(channel = %channel.id.0, attempts = outgoing.attempts, given_up = next.is_none(), "a notification did not arrive");
        }
    }
    let error = sent.as_ref().err().map(String::as_str);
    store::note_result(&mut transaction, channel.id, error, now).await?;
    transaction.commit().await?;
    Ok(sent.is_ok())
}

fn next_try(attempts: i32, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let at = usize::try_from(attempts - 1).ok()?;
    Some(now + TimeDelta::minutes(*PAUSES.get(at)?))
}

/// Sends a test at once. The inner error is what an administrator is shown.
pub async fn test(
    engine: &Engine,
    id: ChannelId,
) -> Result<Option<Result<(), String>>, NotifyError> {
    let mut db = engine.connection().await?;
    let channel = store::channel(&mut db, id).await?;
    drop(db);
    let Some(channel) = channel else {
        return Ok(None);
    };
    let message = Message::test(&channel.name, engine.clock.now());
    let sent = send(
        engine,
        &channel,
        Uuid::now_v7(),
        MessageKind::Test,
        &message,
    )
    .await?;
    let mut db = engine.connection().await?;
    let error = sent.as_ref().err().map(String::as_str);
    store::note_result(&mut db, id, error, engine.clock.now()).await?;
    Ok(Some(sent))
}

/// One try. No transaction and no connection is held meanwhile.
async fn send(
    engine: &Engine,
    channel: &Channel,
    id: Uuid,
    kind: MessageKind,
    message: &Message,
) -> Result<Result<(), String>, NotifyError> {
    let credential = credential(channel);
    let mut db = engine.connection().await?;
    let secret = credentials::get(&mut db, &engine.vault, credential).await?;
    drop(db);
    let origin = engine.public_origin();
    Ok(match &channel.settings {
        ChannelSettings::Email(settings) => {
            let login = |password: SecretString| (settings.user_name.clone(), password);
            let server = MailServer {
                host: settings.host.clone(),
                port: settings.port,
                security: match settings.security {
                    MailSecurity::Tls => Security::Tls,
                    MailSecurity::Starttls => Security::Starttls,
                    MailSecurity::None => Security::None,
                },
                login: secret.filter(|_| !settings.user_name.is_empty()).map(login),
            };
            let mail = Mail {
                id: id.to_string(),
                sender: &settings.sender,
                recipients: &settings.recipients,
                subject: &format!("Rollcall: {}", message.title),
                text: message.as_text(origin),
            };
            let sent = mail::send(engine.outgoing().policy(), &server, &mail).await;
            sent.map_err(|error| error.to_string())
        }
        ChannelSettings::Webhook(settings) => {
            let now = engine.clock.now();
            let body = message.as_json(kind, origin);
            match (Url::parse(&settings.url), secret) {
                (Ok(url), Some(secret)) => {
                    let id = id.to_string();
                    webhook::post(engine.outgoing(), &url, &secret, &id, &body, now)
                        .await
                        .map_err(|error| error.to_string())
                }
                (Err(error), _) => Err(format!("The address can't be read: {error}")),
                (_, None) => Err("There is no secret. Make a new one.".to_owned()),
            }
        }
    })
}

/// Where the password or secret of a channel is kept.
pub fn credential(channel: &Channel) -> Credential {
    match channel.settings {
        ChannelSettings::Email(_) => Credential::MailPassword(channel.id.0),
        ChannelSettings::Webhook(_) => Credential::WebhookSecret(channel.id.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_further_apart_each_time_and_end_after_two_days() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let (mut at, mut tries) = (now, 1);
        let mut before = TimeDelta::zero();
        while let Some(next) = next_try(tries, at) {
            assert!(next - at > before);
            (before, at, tries) = (next - at, next, tries + 1);
        }
        assert_eq!(tries, 9);
        assert!((40..60).contains(&(at - now).num_hours()), "{}", at - now);
    }
}
