//! The second factor: codes of an authenticator app (RFC 6238), and recovery codes for the day on
//! which it is lost.

use app::api::account::{EnrolmentSecret, QrCode};
use chrono::{DateTime, Utc};
use qrcode::{Color, EcLevel};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use sqlx::{Connection as _, PgConnection};
use totp_rs::{Builder, Totp, TotpError};
use uuid::Uuid;

use crate::secrets::Vault;
use crate::store::credentials::{self, Credential, CredentialError};
use crate::store::{passkeys, second_factors};

const CODES: usize = 10;
/// Sixteen of 32 letters: 80 bits, so that a plain hash keeps the code.
const CODE_LENGTH: usize = 16;
/// Without those that are mistaken for each other.
const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
/// The quiet zone that scanners need around a QR code.
const QUIET: usize = 4;

#[derive(Debug, thiserror::Error)]
pub enum FactorError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error("an authenticator app's secret can't be used: {0}")]
    Secret(String),
}

impl From<TotpError> for FactorError {
    fn from(error: TotpError) -> Self {
        Self::Secret(error.to_string())
    }
}

/// What turned out to be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    App,
    Passkey,
    RecoveryCode { left: i64 },
}

/// Whether the code is right and was not used before; then it is used up.
pub async fn verify(
    db: &mut PgConnection,
    vault: &Vault,
    administrator: Uuid,
    code: &str,
    now: DateTime<Utc>,
) -> Result<Option<Right>, FactorError> {
    let code = tidy(code);
    if code.len() == CODE_LENGTH {
        if !second_factors::take_code(&mut *db, administrator, &hash(&code), now).await? {
            return Ok(None);
        }
        let left = second_factors::find(db, administrator).await?;
        let left = left.map_or(0, |factor| factor.recovery_codes_left);
        return Ok(Some(Right::RecoveryCode { left }));
    }
    let credential = Credential::Authenticator(administrator);
    let Some(secret) = credentials::get(&mut *db, vault, credential).await? else {
        return Ok(None);
    };
    let Some(step) = step_of(&secret, &code, now)? else {
        return Ok(None);
    };
    let taken = second_factors::take_step(db, administrator, step).await?;
    Ok(taken.then_some(Right::App))
}

/// Makes a new secret, which counts only once it is confirmed.
pub async fn begin(
    db: &mut PgConnection,
    vault: &Vault,
    administrator: Uuid,
    now: DateTime<Utc>,
) -> Result<(), FactorError> {
    let secret = totp_rs::Secret::new_stack(rand::random());
    let text = SecretString::from(secret.to_base32());
    let place = Credential::NewAuthenticator(administrator);
    credentials::put(db, vault, place, &text, now).await?;
    Ok(())
}

/// What there is to scan or to type, if something was begun.
pub async fn begun(
    db: &mut PgConnection,
    vault: &Vault,
    administrator: Uuid,
    email: &str,
) -> Result<Option<EnrolmentSecret>, FactorError> {
    let place = Credential::NewAuthenticator(administrator);
    let Some(secret) = credentials::get(db, vault, place).await? else {
        return Ok(None);
    };
    // The name may not hold a colon, which parts it from the issuer.
    let name = email.replace(':', " ");
    let address = builder(&secret)?
        .with_account_name(name)
        .with_issuer(Some("Rollcall"))
        .build()?
        .to_url()?;
    Ok(Some(EnrolmentSecret {
        text: grouped(secret.expose_secret(), ' '),
        qr: qr(&address)?,
    }))
}

/// `None` when the code is wrong; otherwise the new secret counts, and these are the new recovery
/// codes.
pub async fn finish(
    db: &mut PgConnection,
    vault: &Vault,
    administrator: Uuid,
    code: &str,
    now: DateTime<Utc>,
) -> Result<Option<Vec<String>>, FactorError> {
    let mut transaction = db.begin().await?;
    let place = Credential::NewAuthenticator(administrator);
    let Some(secret) = credentials::get(&mut transaction, vault, place).await? else {
        return Ok(None);
    };
    let Some(step) = step_of(&secret, &tidy(code), now)? else {
        return Ok(None);
    };
    credentials::delete(&mut transaction, place).await?;
    let place = Credential::Authenticator(administrator);
    credentials::put(&mut transaction, vault, place, &secret, now).await?;
    second_factors::put(&mut transaction, administrator, step, now).await?;
    let codes = renew_codes(&mut transaction, administrator).await?;
    transaction.commit().await?;
    Ok(Some(codes))
}

/// New recovery codes in place of the old ones.
pub async fn renew_codes(
    db: &mut PgConnection,
    administrator: Uuid,
) -> Result<Vec<String>, sqlx::Error> {
    let codes: Vec<String> = (0..CODES).map(|_| random_code()).collect();
    let hashes: Vec<_> = codes.iter().map(|code| hash(code).to_vec()).collect();
    second_factors::put_codes(db, administrator, &hashes).await?;
    Ok(codes.iter().map(|code| grouped(code, '-')).collect())
}

/// Takes everything off. Says whether there was anything.
pub async fn remove(db: &mut PgConnection, administrator: Uuid) -> Result<bool, sqlx::Error> {
    let app = remove_app(&mut *db, administrator).await?;
    let passkeys = passkeys::remove_all(&mut *db, administrator).await?;
    let shown = Credential::ShownOnce(administrator);
    credentials::delete(&mut *db, shown).await?;
    second_factors::delete_codes(db, administrator).await?;
    Ok(app || passkeys)
}

/// Takes the authenticator app off, and leaves recovery codes. Says whether there was one.
pub async fn remove_app(db: &mut PgConnection, administrator: Uuid) -> Result<bool, sqlx::Error> {
    for place in [
        Credential::Authenticator(administrator),
        Credential::NewAuthenticator(administrator),
    ] {
        credentials::delete(&mut *db, place).await?;
    }
    second_factors::delete_app(db, administrator).await
}

fn builder(secret: &SecretString) -> Result<Builder, FactorError> {
    let secret = totp_rs::Secret::try_from_base32(secret.expose_secret())
        .map_err(|error| FactorError::Secret(error.to_string()))?;
    // Six digits of SHA-1 every 30 seconds is what every app understands.
    Ok(Builder::new()
        .with_secret(secret)
        .with_digits(6)
        .with_step_duration(30)
        .with_skew(1))
}

/// The step of half a minute that the code belongs to, when it is the present one or a neighbour.
fn step_of(
    secret: &SecretString,
    code: &str,
    now: DateTime<Utc>,
) -> Result<Option<i64>, FactorError> {
    let totp: Totp = builder(secret)?.build()?;
    let Ok(seconds) = u64::try_from(now.timestamp()) else {
        return Ok(None);
    };
    let step = totp.check(code, seconds);
    Ok(step.and_then(|step| i64::try_from(step).ok()))
}

/// As typed: without the spaces and dashes between groups.
fn tidy(code: &str) -> String {
    let letters = code.chars().filter(|c| !c.is_whitespace() && *c != '-');
    letters.flat_map(char::to_lowercase).take(64).collect()
}

fn hash(code: &str) -> [u8; 32] {
    Sha256::digest(code.as_bytes()).into()
}

fn random_code() -> String {
    let bytes: [u8; CODE_LENGTH] = rand::random();
    let letter = |byte: u8| char::from(LETTERS[usize::from(byte) % LETTERS.len()]);
    bytes.into_iter().map(letter).collect()
}

fn grouped(text: &str, between: char) -> String {
    let letters: Vec<char> = text.chars().collect();
    let groups: Vec<String> = letters
        .chunks(4)
        .map(|group| group.iter().collect())
        .collect();
    groups.join(&between.to_string())
}

fn qr(text: &str) -> Result<QrCode, FactorError> {
    use std::fmt::Write as _;
    let code = qrcode::QrCode::with_error_correction_level(text, EcLevel::M)
        .map_err(|error| FactorError::Secret(error.to_string()))?;
    let width = code.width();
    let mut path = String::new();
    for (index, color) in code.into_colors().into_iter().enumerate() {
        if color == Color::Dark {
            let (x, y) = (index % width + QUIET, index / width + QUIET);
            // Writing to a string never fails.
            let _ = write!(path, "M{x} {y}h1v1h-1z");
        }
    }
    Ok(QrCode {
        size: u32::try_from(width + 2 * QUIET).unwrap_or_default(),
        path,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn codes_are_those_of_the_standard_and_of_a_neighbouring_half_minute() {
        // RFC 6238, appendix B: the secret "12345678901234567890", the last six digits.
        let secret = SecretString::from("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        for (time, code, step) in [
            (59, "287082", 1),
            (1_111_111_109, "081804", 37_037_036),
            (1_234_567_890, "005924", 41_152_263),
            (20_000_000_000, "353130", 666_666_666),
        ] {
            let found = |seconds| step_of(&secret, code, at(seconds)).unwrap();
            assert_eq!(found(time), Some(step), "{time}");
            assert_eq!(found(time + 30), Some(step), "a slow hand");
            assert_eq!(found(time + 60), None, "too late");
        }
        for nonsense in ["", "28708", "2870822", "+28708", "28708a"] {
            assert_eq!(step_of(&secret, nonsense, at(59)).unwrap(), None);
        }
    }

    #[test]
    fn recovery_codes_are_read_however_they_are_typed() {
        let code = random_code();
        assert_eq!(code.len(), CODE_LENGTH);
        let shown = grouped(&code, '-');
        assert_eq!(shown.len(), CODE_LENGTH + 3);
        assert_eq!(tidy(&shown), code);
        assert_eq!(tidy(&shown.to_uppercase().replace('-', " ")), code);
        assert_ne!(random_code(), code);
    }

    #[test]
    fn a_qr_code_has_a_quiet_zone_and_nothing_but_squares() {
        let code = qr("otpauth://totp/Rollcall:ada%40example.com?secret=AAAA").unwrap();
        assert!(code.size > 21 + 8);
        assert!(code.path.starts_with("M4 4h1v1h-1z"), "the finder's corner");
        assert!(code.path.chars().all(|c| "Mhvz- 0123456789".contains(c)));
    }
}
