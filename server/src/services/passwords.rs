//! Passwords of administrators: argon2id, off the async threads.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use secrecy::{ExposeSecret as _, SecretString};

pub const SHORTEST: usize = 12;
pub const LONGEST: usize = 200;

/// Long enough and guessed first all the same.
const COMMON: [&str; 12] = [
    "passwordpassword",
    "password1234",
    "password12345",
    "password123456",
    "administrator",
    "administrator1",
    "123456789012",
    "1234567890123",
    "qwertyuiop12",
    "qwertyuiop123",
    "letmeinletmein",
    "rollcallrollcall",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordProblem {
    #[error("the password is too short: use at least {SHORTEST} characters")]
    TooShort,
    #[error("the password is too long: use at most {LONGEST} characters")]
    TooLong,
    #[error("the password is one of those that are guessed first: use another one")]
    TooCommon,
}

#[derive(Debug, thiserror::Error)]
pub enum HashError {
    #[error("a password could not be hashed: {0}")]
    Hash(argon2::password_hash::Error),
    #[error("a password could not be hashed: {0}")]
    Stopped(#[from] tokio::task::JoinError),
}

/// Whether a new password will do.
pub fn check(password: &SecretString, email: &str) -> Result<(), PasswordProblem> {
    let text = password.expose_secret();
    let length = text.chars().count();
    if length < SHORTEST {
        return Err(PasswordProblem::TooShort);
    }
    if length > LONGEST {
        return Err(PasswordProblem::TooLong);
    }
    let lower = text.to_lowercase();
    if COMMON.contains(&lower.as_str()) || is_pattern(&lower) || is_mostly(&lower, email) {
        return Err(PasswordProblem::TooCommon);
    }
    Ok(())
}

/// One letter, a short piece again and again, or a run of neighbours: long, and guessed at once.
fn is_pattern(text: &str) -> bool {
    let letters: Vec<char> = text.chars().collect();
    let repeats = (1..=4).any(|piece| {
        let mut pairs = letters.iter().zip(letters.iter().skip(piece));
        pairs.all(|(letter, later)| letter == later)
    });
    let step = |pair: &[char]| match pair {
        [one, next] => i64::from(u32::from(*next)) - i64::from(u32::from(*one)),
        _ => 0,
    };
    let steps: Vec<i64> = letters.windows(2).map(step).collect();
    repeats
        || [1, -1]
            .iter()
            .any(|way| steps.iter().all(|step| step == way))
}

/// One's own address, or its name with a few letters around it.
fn is_mostly(text: &str, email: &str) -> bool {
    let email = email.to_lowercase();
    let name = email.split('@').next().unwrap_or_default();
    let rest = |part: &str| {
        let found = part.chars().count() >= 4 && text.contains(part);
        found.then(|| text.chars().count() - part.chars().count())
    };
    [email.as_str(), name]
        .into_iter()
        .filter_map(rest)
        .any(|around| around < 6)
}

pub async fn hash(password: SecretString) -> Result<String, HashError> {
    let hashed = tokio::task::spawn_blocking(move || {
        Argon2::default()
            .hash_password(password.expose_secret().as_bytes())
            .map(|hash| hash.to_string())
    });
    hashed.await?.map_err(HashError::Hash)
}

/// Whether the password is the hashed one. Without a hash (nobody has this e-mail) it takes as
/// long and is never right.
pub async fn verify(password: SecretString, hash: Option<String>) -> Result<bool, HashError> {
    let known = hash.is_some();
    let verified = tokio::task::spawn_blocking(move || {
        let hash = hash.unwrap_or_else(|| NOBODYS.to_owned());
        let hash = PasswordHash::new(&hash).map_err(argon2::password_hash::Error::from)?;
        let text = password.expose_secret().as_bytes();
        match Argon2::default().verify_password(text, &hash) {
            Ok(()) => Ok(true),
            Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
            Err(error) => Err(error),
        }
    });
    Ok(verified.await?.map_err(HashError::Hash)? && known)
}

/// The hash of a password that is not kept anywhere, with today's parameters.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_verifies_against_its_own_hash_only() {
        let hashed = hash("correct horse battery".into()).await.unwrap();
        assert!(
            hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hashed}"
        );
        assert!(
            verify("correct horse battery".into(), Some(hashed.clone()))
                .await
                .unwrap()
        );
        assert!(
            !verify("correct horse battery ".into(), Some(hashed))
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn nobodys_password_is_hashed_like_any_other_and_never_right() {
        assert!(!verify("correct horse battery".into(), None).await.unwrap());
        let (ours, fresh) = (
            PasswordHash::new(NOBODYS).unwrap(),
            hash("x".into()).await.unwrap(),
        );
        let fresh = PasswordHash::new(&fresh).unwrap();
        assert_eq!(ours.algorithm, fresh.algorithm);
        assert_eq!(ours.params.to_string(), fresh.params.to_string());
    }

    #[test]
    fn weak_passwords_are_refused() {
        let check = |text: &str| check(&text.into(), "eleven@example.com");
        assert_eq!(check("short"), Err(PasswordProblem::TooShort));
        assert_eq!(check(&"ab".repeat(200)), Err(PasswordProblem::TooLong));
        for common in [
            "PasswordPassword",
            "aaaaaaaaaaaaaaa",
            "Eleven@example.com",
            "1eleven@example.com!",
            "abcabcabcabcab",
            "abcdefghijklm",
            "9876543210/.-",
        ] {
            assert_eq!(check(common), Err(PasswordProblem::TooCommon), "{common}");
        }
        for fine in [
            "correct horse battery",
            "eleven horses in a row",
            "aaaabbbbcccc",
        ] {
            assert_eq!(check(fine), Ok(()), "{fine}");
        }
    }
}
