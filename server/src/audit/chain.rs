//! What the seals are made of: the keys of the chain's segments, and what each of them covers.

use std::io;

use chrono::{DateTime, Utc};
use hmac::{Hmac, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde_json::Value;
use sha2::Sha256;
use sqlx::PgConnection;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{Break, SealError, Seals};
use crate::secrets::{KeyId, Purpose, SecretKey, keyed_hash};
use crate::store::events::EventRow;
use crate::store::seals::{self, Cut, Head, Segment};

/// A seal begins with the length of the one before it, which is never one of these.
const OF_A_HEAD: u64 = u64::MAX;
const OF_A_CUT: u64 = u64::MAX - 1;

/// The keys of the chain. What is sealed now is sealed with the newest, which is always derived
/// from a secret key that this process was given: whoever has an old one can't bring it back.
pub(super) struct Chain {
    earlier: Vec<Stretch>,
    newest: Stretch,
    /// Whether the database knows the newest segment yet.
    pub is_stored: bool,
}

struct Stretch {
    from_event: i64,
    key_id: KeyId,
    key: Zeroizing<[u8; 32]>,
}

impl Stretch {
    fn under(from_event: i64, secret: &SecretKey) -> Self {
        Self {
            from_event,
            key_id: secret.id(),
            key: secret.derive(Purpose::Audit),
        }
    }
}

impl Seals {
    pub(super) async fn chain(
        &self,
        db: &mut PgConnection,
        head: Option<&Head>,
    ) -> Result<Chain, SealError> {
        let segments = seals::segments(db).await?;
        let Some((last, earlier)) = segments.split_last() else {
            return Ok(self.only_segment(head));
        };
        let newest = self.keys.by_id(&last.key_id);
        let newest = newest.ok_or_else(|| SealError::OtherKey {
            sealed_with: last.key_id.clone(),
            have: self.keys.current().id(),
        })?;
        let earlier = earlier.iter().map(|segment| self.earlier(segment));
        Ok(Chain {
            earlier: earlier.collect::<Result<_, _>>()?,
            newest: Stretch::under(last.from_event, newest),
            is_stored: true,
        })
    }

    /// Nothing was sealed yet, or it was before segments were kept: then its head tells the key.
    fn only_segment(&self, head: Option<&Head>) -> Chain {
        let under = |secret| Chain {
            earlier: Vec::new(),
            newest: Stretch::under(0, secret),
            is_stored: false,
        };
        let known = head.and_then(|head| {
            self.keys
                .all()
                .map(under)
                .find(|chain| chain.is_authentic(head))
        });
        known.unwrap_or_else(|| under(self.keys.current()))
    }

    fn earlier(&self, segment: &Segment) -> Result<Stretch, SealError> {
        if let Some(secret) = self.keys.by_id(&segment.key_id) {
            return Ok(Stretch::under(segment.from_event, secret));
        }
        let lost = || SealError::KeyMissing {
            key: segment.key_id.clone(),
            from_event: segment.from_event,
        };
        let sealed = segment.key.as_ref().ok_or_else(lost)?;
        let place = Segment::place(segment.from_event);
        let text = self.vault.open(sealed, &place).map_err(SealError::Vault)?;
        Ok(Stretch {
            from_event: segment.from_event,
            key_id: segment.key_id.clone(),
            key: key_from(&text).ok_or_else(lost)?,
        })
    }

    /// Begins a new segment under the current secret key, when it is another one; returns the key
    /// of the segment that ended. The caller holds `lock_seals`, and everything is sealed.
    pub(crate) async fn turn_over(
        &self,
        db: &mut PgConnection,
    ) -> Result<Option<KeyId>, SealError> {
        let head = seals::head(db).await?;
        let last = seals::last_seal(db).await?;
        let chain = self.chain(db, head.as_ref()).await?;
        let current = self.keys.current();
        if chain.newest.key_id == current.id() {
            return Ok(None);
        }
        let Some(head) = chain.end(head, last).map_err(SealError::Broken)? else {
            return Ok(None);
        };
        let cut = seals::cut(db).await?;
        if cut.as_ref().is_some_and(|cut| !chain.is_authentic_cut(cut)) {
            return Err(SealError::Broken(Break::CutForged));
        }
        let ended = &chain.newest;
        if !chain.is_stored {
            seals::begin_segment(db, ended.from_event, &ended.key_id).await?;
        }
        let place = Segment::place(ended.from_event);
        let sealed = self.vault.seal(&text_of(&ended.key), &place);
        let sealed = sealed.map_err(SealError::Vault)?;
        seals::end_segment(db, ended.from_event, &sealed).await?;
        let next = Chain {
            earlier: Vec::new(),
            newest: Stretch::under(head.event_id + 1, current),
            is_stored: true,
        };
        seals::begin_segment(db, next.newest.from_event, &next.newest.key_id).await?;
        let now = self.clock.now();
        let head = next.head(head.event_id, head.hash, head.events, now);
        seals::set_head(db, &head).await?;
        if let Some(cut) = cut {
            seals::set_cut(db, &next.cut(cut)).await?;
        }
        Ok(Some(chain.newest.key_id))
    }
}

fn text_of(key: &[u8; 32]) -> SecretString {
    key.iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>()
        .into()
}

fn key_from(text: &SecretString) -> Option<Zeroizing<[u8; 32]>> {
    let text = text.expose_secret();
    let mut key = Zeroizing::new([0; 32]);
    if text.len() != 2 * key.len() {
        return None;
    }
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(key)
}

impl Chain {
    pub fn key_id(&self) -> &KeyId {
        &self.newest.key_id
    }

    /// The first event that is sealed under the newest key.
    pub fn first_event(&self) -> i64 {
        self.newest.from_event
    }

    fn key_of(&self, event: i64) -> &[u8; 32] {
        let stretches = std::iter::once(&self.newest).chain(self.earlier.iter().rev());
        let mut key = &self.newest.key;
        for stretch in stretches {
            key = &stretch.key;
            if stretch.from_event <= event {
                break;
            }
        }
        key
    }

    /// The seal of an event after the seal before it.
    pub fn seal(&self, previous: &[u8], event: &EventRow) -> Vec<u8> {
        let mut mac = keyed_hash(self.key_of(event.id));
        mac.update(&(previous.len() as u64).to_be_bytes());
        mac.update(previous);
        // Hashing never fails, and all keys are texts.
        let _ = serde_json::to_writer(Hashed(&mut mac), &Sealed::from(event));
        mac.finalize().into_bytes().to_vec()
    }

    pub fn head(&self, event_id: i64, hash: Vec<u8>, events: i64, at: DateTime<Utc>) -> Head {
        let mut head = Head {
            event_id,
            hash,
            events,
            sealed_at: as_stored(at),
            mac: Vec::new(),
        };
        head.mac = of_head(&self.newest.key, &head)
            .finalize()
            .into_bytes()
            .to_vec();
        head
    }

    pub fn is_authentic(&self, head: &Head) -> bool {
        of_head(&self.newest.key, head)
            .verify_slice(&head.mac)
            .is_ok()
    }

    /// Whether a head was the log's at some time. Checkpoints outlive the segment of their time.
    pub fn was_authentic(&self, head: &Head) -> bool {
        let stretches = std::iter::once(&self.newest).chain(&self.earlier);
        stretches
            .map(|stretch| of_head(&stretch.key, head))
            .any(|mac| mac.verify_slice(&head.mac).is_ok())
    }

    /// The same cut, authenticated under the newest key.
    pub fn cut(&self, mut cut: Cut) -> Cut {
        cut.before = as_stored(cut.before);
        cut.cut_at = as_stored(cut.cut_at);
        cut.mac = of_cut(&self.newest.key, &cut)
            .finalize()
            .into_bytes()
            .to_vec();
        cut
    }

    pub fn is_authentic_cut(&self, cut: &Cut) -> bool {
        of_cut(&self.newest.key, cut).verify_slice(&cut.mac).is_ok()
    }

    /// The head, once it is authentic and is the last seal.
    pub fn end(
        &self,
        head: Option<Head>,
        last: Option<(i64, Vec<u8>)>,
    ) -> Result<Option<Head>, Break> {
        let (head, last) = match (head, last) {
            (None, None) => return Ok(None),
            (None, Some(_)) => return Err(Break::HeadMissing),
            (Some(head), _) if !self.is_authentic(&head) => return Err(Break::HeadForged),
            (Some(head), None) => {
                return Err(Break::TailMissing {
                    expected: head.event_id,
                    found: None,
                });
            }
            (Some(head), Some(last)) => (head, last),
        };
        if last.0 < head.event_id {
            return Err(Break::TailMissing {
                expected: head.event_id,
                found: Some(last.0),
            });
        }
        if last.0 > head.event_id || last.1 != head.hash {
            return Err(Break::SealForged { event: last.0 });
        }
        Ok(Some(head))
    }
}

/// As precise as the database keeps it.
fn as_stored(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at)
}

fn of_head(key: &[u8; 32], head: &Head) -> Hmac<Sha256> {
    let mut mac = keyed_hash(key);
    mac.update(&OF_A_HEAD.to_be_bytes());
    for number in [
        head.event_id,
        head.events,
        head.sealed_at.timestamp_micros(),
    ] {
        mac.update(&number.to_be_bytes());
    }
    mac.update(&head.hash);
    mac
}

fn of_cut(key: &[u8; 32], cut: &Cut) -> Hmac<Sha256> {
    let mut mac = keyed_hash(key);
    mac.update(&OF_A_CUT.to_be_bytes());
    for number in [
        cut.event_id,
        cut.events,
        cut.before.timestamp_micros(),
        cut.cut_at.timestamp_micros(),
    ] {
        mac.update(&number.to_be_bytes());
    }
    mac.update(&(cut.gone.len() as u64).to_be_bytes());
    for event in &cut.gone {
        mac.update(&event.to_be_bytes());
    }
    mac.update(&cut.hash);
    mac
}

struct Hashed<'a>(&'a mut Hmac<Sha256>);

impl io::Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The event as it is sealed. The keys are sorted, here and in the JSON inside.
#[derive(Serialize)]
struct Sealed<'a> {
    account_id: Option<&'a str>,
    actor: &'a str,
    app: Option<&'a str>,
    changes: Option<&'a Value>,
    detail: Option<&'a Value>,
    error: Option<&'a Value>,
    event: &'a str,
    id: i64,
    outcome: &'a str,
    person_email: Option<&'a str>,
    person_id: Option<&'a str>,
    reason: Option<&'a str>,
    run_id: Option<Uuid>,
    time: i64,
}

impl<'a> From<&'a EventRow> for Sealed<'a> {
    fn from(event: &'a EventRow) -> Self {
        Self {
            account_id: event.account_id.as_deref(),
            actor: &event.actor,
            app: event.app.as_deref(),
            changes: event.changes.as_ref(),
            detail: event.detail.as_ref(),
            error: event.error.as_ref(),
            event: &event.event,
            id: event.id,
            outcome: &event.outcome,
            person_email: event.person_email.as_deref(),
            person_id: event.person_id.as_deref(),
            reason: event.reason.as_deref(),
            run_id: event.run_id,
            time: event.time.timestamp_micros(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_sealed_as_json_with_sorted_keys() {
        let event = EventRow {
            id: 7,
            time: DateTime::from_timestamp(1_800_000_000, 5_000).unwrap(),
            event: "Export".into(),
            outcome: "ok".into(),
            actor: "a@example.com".into(),
            app: None,
            person_id: Some("p".into()),
            person_email: Some("p@example.com".into()),
            account_id: None,
            run_id: Some(Uuid::nil()),
            reason: Some("said \"so\"".into()),
            changes: Some(json!([{ "old": 1, "attribute": "x", "new": null }])),
            error: None,
            detail: Some(json!({ "b": 1.5, "a": ["é"] })),
            hash: None,
        };
        let written = serde_json::to_string(&Sealed::from(&event)).unwrap();
        // The keys of a `Value` are sorted, so this holds them against that order.
        let sorted: Value = serde_json::from_str(&written).unwrap();
        assert_eq!(written, sorted.to_string());
        assert!(written.contains(r#""changes":[{"attribute":"x","new":null,"old":1}]"#));
    }

    #[test]
    fn a_key_survives_being_written_as_text() {
        let key = [0xa7; 32];
        assert_eq!(*key_from(&text_of(&key)).unwrap(), key);
        assert!(key_from(&"a7".into()).is_none());
    }
}
