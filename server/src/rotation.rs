//! Rotation of the secret key: everything that an older key sealed is sealed with the current one,
//! while the processes go on.

use provisioning::event::EventName;
use serde_json::json;
use sqlx::PgConnection;

use crate::audit::{SealError, Seals};
use crate::clock::Clock;
use crate::secrets::{KeyId, Vault};
use crate::store::events::{self, NewEvent};
use crate::store::sealed::SealedTable;
use crate::store::{StoreError, seals as chain};

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotated {
    /// Secrets that are sealed with the current key since.
    pub secrets: usize,
    /// The key that the audit log was sealed with until now, when it was another one.
    pub log_was_under: Option<KeyId>,
    /// What no key of this process opens, with the reason.
    pub unreadable: Vec<String>,
}

impl Rotated {
    fn is_nothing(&self) -> bool {
        self.secrets == 0 && self.log_was_under.is_none()
    }
}

/// Seals everything with the current key, in one transaction with its event.
pub async fn rotate(
    seals: &Seals,
    vault: &Vault,
    clock: &dyn Clock,
    actor: &str,
) -> Result<Rotated, SealError> {
    seals.seal().await?;
    let mut transaction = seals.pool().begin().await.map_err(StoreError::from)?;
    chain::lock_seals(&mut transaction).await?;
    let log_was_under = seals.turn_over(&mut transaction).await?;
    let mut rotated = Rotated {
        log_was_under,
        ..Rotated::default()
    };
    for table in SealedTable::ALL {
        reseal(&mut transaction, vault, table, &mut rotated).await?;
    }
    if !rotated.is_nothing() {
        let detail = json!({
            "key": vault.current().0,
            "secrets": rotated.secrets,
            "unreadable": rotated.unreadable.len(),
        });
        let event = NewEvent::new(clock.now(), EventName::SecretKeyRotated, actor).detail(detail);
        events::record(&mut transaction, &event).await?;
    }
    transaction.commit().await.map_err(StoreError::from)?;
    seals.seal().await?;
    Ok(rotated)
}

async fn reseal(
    db: &mut PgConnection,
    vault: &Vault,
    table: SealedTable,
    rotated: &mut Rotated,
) -> Result<(), SealError> {
    let rows = table.sealed_before(db, vault.current()).await;
    for row in rows.map_err(StoreError::from)? {
        let secret = match vault.open(&row.sealed, &row.place) {
            Ok(secret) => secret,
            Err(error) => {
                rotated.unreadable.push(error.to_string());
                continue;
            }
        };
        let sealed = vault.seal(&secret, &row.place).map_err(SealError::Vault)?;
        // One that was stored anew meanwhile stays as it is.
        let replaced = table.replace(db, &row, &sealed).await;
        if replaced.map_err(StoreError::from)? {
            rotated.secrets += 1;
        }
    }
    Ok(())
}
