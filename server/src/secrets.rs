//! Secrets at rest: AES-256-GCM under keys derived from one secret key.
//!
//! Every sealed value names the key that sealed it, so that keys can be rotated, and is
//! bound to its place by associated data: a ciphertext moved to another row does not open.

mod keyring;

use std::fmt;
use std::sync::Arc;

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hmac::{Hmac, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use zeroize::Zeroizing;

pub use keyring::{Keyring, KeyringError};

const NONCE_LEN: usize = 12;

/// The 32 bytes from which every other key is derived.
#[derive(Clone)]
pub struct SecretKey(Zeroizing<[u8; 32]>);

/// What a key derived from the secret key is for. One key, one purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Encrypting credentials.
    Credentials,
    /// Chaining the audit log.
    Audit,
    /// The public name of the secret key.
    KeyId,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Credentials => b"rollcall credentials v1",
            Self::Audit => b"rollcall audit v1",
            Self::KeyId => b"rollcall key id v1",
        }
    }
}

impl SecretKey {
    pub fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    pub fn generate() -> Self {
        Self(Zeroizing::new(rand::random()))
    }

    /// A key of its own for one purpose.
    pub fn derive(&self, purpose: Purpose) -> Zeroizing<[u8; 32]> {
        let mut mac = keyed_hash(&self.0);
        mac.update(purpose.label());
        Zeroizing::new(mac.finalize().into_bytes().into())
    }

    /// Says which key it is without saying what it is.
    pub fn id(&self) -> KeyId {
        let digest = self.derive(Purpose::KeyId);
        let [a, b, c, d, ..] = *digest;
        KeyId(format!("{:08x}", u32::from_be_bytes([a, b, c, d])))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.id().0)
    }
}

/// HMAC-SHA-256 under a derived key. HMAC itself pads keys with zeros to its block of 64 bytes;
/// doing so here leaves no failure to report.
pub fn keyed_hash(key: &[u8; 32]) -> Hmac<Sha256> {
    let mut block = Zeroizing::new([0; 64]);
    block[..32].copy_from_slice(key);
    Hmac::new(&(*block).into())
}

/// The public name of a secret key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyId(pub String);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An encrypted value as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    pub key_id: KeyId,
    pub nonce: Vec<u8>,
    pub ciphertext: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error("{place} can't be encrypted")]
    Seal { place: String },
    #[error(
        "{place} was encrypted with key {sealed_with}, this process has {have}: give it the secret key it was stored with"
    )]
    OtherKey {
        place: String,
        sealed_with: KeyId,
        have: KeyId,
    },
    #[error("{place} was changed outside Rollcall or belongs to another row: enter it again")]
    Tampered { place: String },
}

/// Seals and opens secrets. Cheap to clone; `Debug` shows the key's id only.
#[derive(Clone)]
pub struct Vault {
    /// What everything is sealed with.
    current: (KeyId, Aes256Gcm),
    /// These only open.
    older: Arc<[(KeyId, Aes256Gcm)]>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({})", self.current.0)
    }
}

impl Vault {
    pub fn new(keys: impl Into<Keyring>) -> Self {
        let cipher = |key: &SecretKey| {
            let derived = key.derive(Purpose::Credentials);
            (key.id(), Aes256Gcm::new(&(*derived).into()))
        };
        let keys = keys.into();
        Self {
            current: cipher(keys.current()),
            older: keys.older().iter().map(cipher).collect(),
        }
    }

    /// The key that this vault seals with.
    pub fn current(&self) -> &KeyId {
        &self.current.0
    }

    /// Whether what was sealed with this key can be opened.
    pub fn knows(&self, key: &KeyId) -> bool {
        self.cipher(key).is_some()
    }

    fn cipher(&self, key: &KeyId) -> Option<&Aes256Gcm> {
        std::iter::once(&self.current)
            .chain(self.older.iter())
            .find(|(id, _)| id == key)
            .map(|(_, cipher)| cipher)
    }

    /// `place` names the row the value belongs to; opening demands the same name.
    pub fn seal(&self, secret: &SecretString, place: &str) -> Result<Sealed, VaultError> {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let payload = Payload {
            msg: secret.expose_secret().as_bytes(),
            aad: place.as_bytes(),
        };
        let (key_id, cipher) = &self.current;
        let ciphertext =
            cipher
                .encrypt(&Nonce::from(nonce), payload)
                .map_err(|_| VaultError::Seal {
                    place: place.to_owned(),
                })?;
        Ok(Sealed {
            key_id: key_id.clone(),
            nonce: nonce.to_vec(),
            ciphertext,
        })
    }

    pub fn open(&self, sealed: &Sealed, place: &str) -> Result<SecretString, VaultError> {
        let cipher = self
            .cipher(&sealed.key_id)
            .ok_or_else(|| VaultError::OtherKey {
                place: place.to_owned(),
                sealed_with: sealed.key_id.clone(),
                have: self.current.0.clone(),
            })?;
        let tampered = || VaultError::Tampered {
            place: place.to_owned(),
        };
        let nonce: [u8; NONCE_LEN] = sealed.nonce.as_slice().try_into().map_err(|_| tampered())?;
        let payload = Payload {
            msg: &sealed.ciphertext,
            aad: place.as_bytes(),
        };
        let bytes = cipher
            .decrypt(&Nonce::from(nonce), payload)
            .map_err(|_| tampered())?;
        String::from_utf8(bytes)
            .map(SecretString::from)
            .map_err(|_| tampered())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(byte: u8) -> Vault {
        Vault::new(SecretKey::from_bytes(Zeroizing::new([byte; 32])))
    }

    #[test]
    fn a_sealed_secret_opens_at_its_own_place() {
        let sealed = vault(1).seal(&"token".into(), "app_token:1").unwrap();
        let opened = vault(1).open(&sealed, "app_token:1").unwrap();
        assert_eq!(opened.expose_secret(), "token");
        assert!(!sealed.ciphertext.windows(5).any(|part| part == b"token"));
    }

    #[test]
    fn a_sealed_secret_does_not_open_at_another_place() {
        let sealed = vault(1).seal(&"token".into(), "app_token:1").unwrap();
        let error = vault(1).open(&sealed, "app_token:2").unwrap_err();
        assert!(matches!(error, VaultError::Tampered { .. }));
    }

    #[test]
    fn a_changed_byte_anywhere_is_noticed() {
        let sealed = vault(1).seal(&"token".into(), "p").unwrap();
        for index in 0..sealed.ciphertext.len() {
            let mut other = sealed.clone();
            other.ciphertext[index] ^= 1;
            assert!(matches!(
                vault(1).open(&other, "p"),
                Err(VaultError::Tampered { .. })
            ));
        }
        let mut other = sealed.clone();
        other.nonce[0] ^= 1;
        assert!(vault(1).open(&other, "p").is_err());
        other.nonce.clear();
        assert!(vault(1).open(&other, "p").is_err());
    }

    #[test]
    fn another_key_is_named_in_the_refusal() {
        let sealed = vault(1).seal(&"token".into(), "p").unwrap();
        let error = vault(2).open(&sealed, "p").unwrap_err();
        assert!(matches!(error, VaultError::OtherKey { .. }));
        assert!(error.to_string().contains(&sealed.key_id.0));
    }

    #[test]
    fn an_older_key_opens_and_never_seals() {
        let key = |byte| SecretKey::from_bytes(Zeroizing::new([byte; 32]));
        let old = vault(1).seal(&"token".into(), "p").unwrap();
        let both = Vault::new(Keyring::new(key(2), vec![key(1)]));
        assert_eq!(both.open(&old, "p").unwrap().expose_secret(), "token");
        let new = both.seal(&"token".into(), "p").unwrap();
        assert_eq!(new.key_id, key(2).id());
        assert!(vault(1).open(&new, "p").is_err());
    }

    #[test]
    fn sealing_twice_never_repeats_a_nonce() {
        let vault = vault(1);
        let first = vault.seal(&"token".into(), "p").unwrap();
        let second = vault.seal(&"token".into(), "p").unwrap();
        assert_ne!(first.nonce, second.nonce);
        assert_ne!(first.ciphertext, second.ciphertext);
    }

    #[test]
    fn derived_keys_differ_by_purpose() {
        let key = SecretKey::from_bytes(Zeroizing::new([1; 32]));
        assert_ne!(
            *key.derive(Purpose::Audit),
            *key.derive(Purpose::Credentials)
        );
    }
}
