//! Every place of the database that holds a sealed secret, so that rotation passes none over. A test
//! holds this list against the schema.

use sqlx::PgConnection;

use super::credentials;
use super::seals::Segment;
use crate::secrets::{KeyId, Sealed};

/// A table with sealed values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealedTable {
    Credentials,
    /// Keys of the audit log's earlier segments.
    EventKeys,
}

/// One sealed value, and what it is bound to.
#[derive(Clone, Debug)]
pub struct SealedRow {
    /// What tells the row from the others of its table.
    row: Vec<String>,
    pub place: String,
    pub sealed: Sealed,
}

impl SealedTable {
    pub const ALL: [Self; 2] = [Self::Credentials, Self::EventKeys];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::EventKeys => "event_keys",
        }
    }

    /// What another key than `current` sealed.
    pub async fn sealed_before(
        self,
        db: &mut PgConnection,
        current: &KeyId,
    ) -> Result<Vec<SealedRow>, sqlx::Error> {
        match self {
            Self::Credentials => {
                let rows = sqlx::query!(
                    "SELECT kind, owner, key_id, nonce, ciphertext FROM credentials
                     WHERE key_id <> $1 ORDER BY kind, owner",
                    current.0
                )
                .fetch_all(db)
                .await?;
                let rows = rows.into_iter().map(|row| SealedRow {
                    place: credentials::place(&row.kind, &row.owner),
                    row: vec![row.kind, row.owner],
                    sealed: Sealed {
                        key_id: KeyId(row.key_id),
                        nonce: row.nonce,
                        ciphertext: row.ciphertext,
                    },
                });
                Ok(rows.collect())
            }
            Self::EventKeys => {
                let rows = sqlx::query!(
                    "SELECT from_event, sealed_with AS \"sealed_with!\", nonce AS \"nonce!\",
                            ciphertext AS \"ciphertext!\"
                     FROM event_keys WHERE sealed_with <> $1 ORDER BY from_event",
                    current.0
                )
                .fetch_all(db)
                .await?;
                let rows = rows.into_iter().map(|row| SealedRow {
                    place: Segment::place(row.from_event),
                    row: vec![row.from_event.to_string()],
                    sealed: Sealed {
                        key_id: KeyId(row.sealed_with),
                        nonce: row.nonce,
                        ciphertext: row.ciphertext,
                    },
                });
                Ok(rows.collect())
            }
        }
    }

    /// Puts the new value where the old one still is; false when somebody else stored another one.
    pub async fn replace(
        self,
        db: &mut PgConnection,
        old: &SealedRow,
        new: &Sealed,
    ) -> Result<bool, sqlx::Error> {
        let done = match self {
            Self::Credentials => {
                sqlx::query!(
                    "UPDATE credentials SET key_id = $1, nonce = $2, ciphertext = $3
                     WHERE ARRAY[kind, owner] = $4 AND nonce = $5 AND ciphertext = $6",
                    new.key_id.0,
                    new.nonce,
                    new.ciphertext,
                    &old.row,
                    old.sealed.nonce,
                    old.sealed.ciphertext
                )
                .execute(db)
                .await?
            }
            Self::EventKeys => {
                sqlx::query!(
                    "UPDATE event_keys SET sealed_with = $1, nonce = $2, ciphertext = $3
                     WHERE ARRAY[from_event::text] = $4 AND nonce = $5 AND ciphertext = $6",
                    new.key_id.0,
                    new.nonce,
                    new.ciphertext,
                    &old.row,
                    old.sealed.nonce,
                    old.sealed.ciphertext
                )
                .execute(db)
                .await?
            }
        };
        Ok(done.rows_affected() > 0)
    }
}

/// The keys that something in the database is sealed with.
pub async fn keys_in_use(db: &mut PgConnection) -> Result<Vec<KeyId>, sqlx::Error> {
    let keys = sqlx::query_scalar!(
        "SELECT key_id AS \"key!\" FROM credentials
         UNION SELECT sealed_with FROM event_keys WHERE sealed_with IS NOT NULL"
    )
    .fetch_all(db)
    .await?;
    Ok(keys.into_iter().map(KeyId).collect())
}
