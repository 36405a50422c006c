//! Encrypted credentials: the directory's key, the apps' tokens, administrators' second factors.

use std::fmt;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::secrets::{KeyId, Sealed, Vault, VaultError};

/// Which credential. Its name is sealed into the ciphertext.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Credential {
    /// The service account's key file, as JSON text.
    DirectoryKey,
    /// The access token of the app with this id.
    AppToken(Uuid),
    /// The secret of this administrator's authenticator app.
    Authenticator(Uuid),
    /// One that its owner has not confirmed yet.
    NewAuthenticator(Uuid),
    /// What this administrator may see once, such as recovery codes.
    ShownOnce(Uuid),
    /// The password of the mail server of the notification channel with this id.
    MailPassword(Uuid),
    /// What the messages of the webhook with this id are signed with.
    WebhookSecret(Uuid),
}

impl Credential {
    const fn kind(self) -> &'static str {
        match self {
            Self::DirectoryKey => "directory_key",
            Self::AppToken(_) => "app_token",
            Self::Authenticator(_) => "authenticator",
            Self::NewAuthenticator(_) => "new_authenticator",
            Self::ShownOnce(_) => "shown_once",
            Self::MailPassword(_) => "mail_password",
            Self::WebhookSecret(_) => "webhook_secret",
        }
    }

    fn owner(self) -> String {
        match self {
            Self::DirectoryKey => "google".to_owned(),
            Self::AppToken(id)
            | Self::Authenticator(id)
            | Self::NewAuthenticator(id)
            | Self::ShownOnce(id)
            | Self::MailPassword(id)
            | Self::WebhookSecret(id) => id.to_string(),
        }
    }

    fn place(self) -> String {
        place(self.kind(), &self.owner())
    }
}

/// What a credential is bound to.
pub(super) fn place(kind: &str, owner: &str) -> String {
    format!("credentials/{kind}/{owner}")
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// Stores a credential in place of the one that was there.
pub async fn put(
    db: &mut PgConnection,
    vault: &Vault,
    credential: Credential,
    secret: &SecretString,
    now: DateTime<Utc>,
) -> Result<(), CredentialError> {
    let sealed = vault.seal(secret, &credential.place())?;
    sqlx::query!(
        "INSERT INTO credentials (kind, owner, key_id, nonce, ciphertext, stored_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT ON CONSTRAINT credentials_key DO UPDATE
         SET key_id = excluded.key_id, nonce = excluded.nonce,
             ciphertext = excluded.ciphertext, stored_at = excluded.stored_at",
        credential.kind(),
        credential.owner(),
        sealed.key_id.0,
        sealed.nonce,
        sealed.ciphertext,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn get(
    db: &mut PgConnection,
    vault: &Vault,
    credential: Credential,
) -> Result<Option<SecretString>, CredentialError> {
    let row = sqlx::query!(
        "SELECT key_id, nonce, ciphertext FROM credentials WHERE kind = $1 AND owner = $2",
        credential.kind(),
        credential.owner(),
    )
    .fetch_optional(db)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let sealed = Sealed {
        key_id: KeyId(row.key_id),
        nonce: row.nonce,
        ciphertext: row.ciphertext,
    };
    Ok(Some(vault.open(&sealed, &credential.place())?))
}

/// When the credential was stored; `None` when there is none. Opens nothing.
pub async fn stored_at(
    db: &mut PgConnection,
    credential: Credential,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT stored_at FROM credentials WHERE kind = $1 AND owner = $2",
        credential.kind(),
        credential.owner(),
    )
    .fetch_optional(db)
    .await
}

/// Says whether there was one.
pub async fn delete(db: &mut PgConnection, credential: Credential) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM credentials WHERE kind = $1 AND owner = $2",
        credential.kind(),
        credential.owner(),
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() > 0)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;
    use sqlx::PgPool;
    use zeroize::Zeroizing;

    use super::*;
    use crate::secrets::SecretKey;

    fn vault() -> Vault {
        Vault::new(SecretKey::from_bytes(Zeroizing::new([9; 32])))
    }

    fn at(day: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + day * 86_400, 0).unwrap()
    }

    #[sqlx::test(migrations = "./migrations")]
    async fn a_credential_is_replaced_read_back_and_deleted(pool: PgPool) {
        let mut db = pool.acquire().await.unwrap();
        let token = Credential::AppToken(Uuid::from_u128(1));
        put(&mut db, &vault(), token, &"first".into(), at(0))
            .await
            .unwrap();
        put(&mut db, &vault(), token, &"second".into(), at(1))
            .await
            .unwrap();
        let read = get(&mut db, &vault(), token).await.unwrap().unwrap();
        assert_eq!(read.expose_secret(), "second");
        assert_eq!(stored_at(&mut db, token).await.unwrap(), Some(at(1)));
        assert!(
            get(&mut db, &vault(), Credential::DirectoryKey)
                .await
                .unwrap()
                .is_none()
        );
        assert!(delete(&mut db, token).await.unwrap());
        assert!(!delete(&mut db, token).await.unwrap());
        assert!(get(&mut db, &vault(), token).await.unwrap().is_none());
    }

    #[sqlx::test(migrations = "./migrations")]
    async fn a_ciphertext_moved_to_another_app_does_not_open(pool: PgPool) {
        let mut db = pool.acquire().await.unwrap();
        let (mine, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        put(
            &mut db,
            &vault(),
            Credential::AppToken(mine),
            &"token".into(),
            at(0),
        )
        .await
        .unwrap();
        sqlx::query!("UPDATE credentials SET owner = $1", other.to_string())
            .execute(&mut *db)
            .await
            .unwrap();
        let error = get(&mut db, &vault(), Credential::AppToken(other))
            .await
            .unwrap_err();
        assert!(matches!(
            error,
            CredentialError::Vault(VaultError::Tampered { .. })
        ));
    }
}
