//! The service account of the emulated Google project and its key.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, LineEnding};
use rsa::{RsaPrivateKey, RsaPublicKey};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::SandboxError;

/// The service account's address.
pub const CLIENT_EMAIL: &str = "rollcall@northmoor-provisioning.iam.gserviceaccount.example";
const CLIENT_ID: &str = "104857391026483715923";
const PROJECT: &str = "northmoor-provisioning";
const BITS: usize = 2048;

/// A private key that signs assertions, and its public half.
#[derive(Clone)]
pub struct ServiceAccountKey {
    private_pem: Arc<str>,
    public_pem: Arc<str>,
    id: Arc<str>,
}

impl std::fmt::Debug for ServiceAccountKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceAccountKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl ServiceAccountKey {
    /// Makes a new key. Takes a second or so.
    pub fn generate() -> Result<Self, SandboxError> {
        let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, BITS)
            .map_err(|error| SandboxError::Key(error.to_string()))?;
        Self::of(&key)
    }

    /// Reads a key from PEM (PKCS #8).
    pub fn from_pem(pem: &str) -> Result<Self, SandboxError> {
        let key = RsaPrivateKey::from_pkcs8_pem(pem)
            .map_err(|error| SandboxError::Key(error.to_string()))?;
        Self::of(&key)
    }

    /// One key for all tests of this machine: made once, then read from the
    /// folder for temporary files. It opens nothing but emulated directories.
    pub fn shared() -> Result<Self, SandboxError> {
        static SHARED: OnceLock<ServiceAccountKey> = OnceLock::new();
        if let Some(key) = SHARED.get() {
            return Ok(key.clone());
        }
        let path = std::env::temp_dir().join("rollcall-sandbox-key.pem");
        let stored = std::fs::read_to_string(&path)
            .ok()
            .and_then(|pem| Self::from_pem(&pem).ok());
        let key = match stored {
            Some(key) => key,
            None => {
                let key = Self::generate()?;
                // Losing the race or lacking the right to write only costs time.
                drop(key.write(&path));
                key
            }
        };
        Ok(SHARED.get_or_init(|| key).clone())
    }

    fn write(&self, path: &Path) -> std::io::Result<()> {
        super::storage::write_whole(path, self.private_pem.as_bytes())
    }

    fn of(key: &RsaPrivateKey) -> Result<Self, SandboxError> {
        let wrong = |error: &dyn std::fmt::Display| SandboxError::Key(error.to_string());
        let private_pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|e| wrong(&e))?;
        let public = RsaPublicKey::from(key);
        let public_pem = public
            .to_public_key_pem(LineEnding::LF)
            .map_err(|e| wrong(&e))?;
        let id = Sha256::digest(public_pem.as_bytes())
            .iter()
            .take(20)
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>();
        Ok(Self {
            private_pem: private_pem.as_str().into(),
            public_pem: public_pem.into(),
            id: id.into(),
        })
    }

    /// The private key as PEM (PKCS #8).
    pub fn private_pem(&self) -> &str {
        &self.private_pem
    }

    /// The public key as PEM.
    pub fn public_pem(&self) -> &str {
        &self.public_pem
    }

    /// The key file as Google hands it out, for a sandbox at `base_url`.
    pub fn file(&self, base_url: &str) -> serde_json::Value {
        let base = base_url.trim_end_matches('/');
        json!({
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": &*self.id,
            "private_key": &*self.private_pem,
            "client_email": CLIENT_EMAIL,
            "client_id": CLIENT_ID,
            "auth_uri": format!("{base}/auth"),
            "token_uri": format!("{base}/token"),
            "auth_provider_x509_cert_url": format!("{base}/certs"),
            "client_x509_cert_url": format!("{base}/certs"),
            "universe_domain": "googleapis.com",
        })
    }
}
