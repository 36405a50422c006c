//! The service account's key file.

use jsonwebtoken::EncodingKey;
use serde_json::Value;
use url::Url;

/// A key file that was read and whose private key can sign.
#[derive(Clone)]
pub struct ServiceAccountKey {
    client_email: String,
    /// The number that an administrator enters under "Domain-wide delegation".
    client_id: Option<String>,
    key_id: Option<String>,
    token_uri: Url,
    /// As the file has it: Google compares the audience letter by letter.
    audience: String,
    signer: EncodingKey,
}

impl std::fmt::Debug for ServiceAccountKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceAccountKey")
            .field("client_email", &self.client_email)
            .field("client_id", &self.client_id)
            .field("token_uri", &self.token_uri.as_str())
            .finish_non_exhaustive()
    }
}

/// What is wrong with a key file. Never repeats what the file holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    #[error(
        "The key file is empty. Download a JSON key of the service account from the Google Cloud console."
    )]
    Empty,
    #[error(
        "The key file is larger than 64 KiB, so it is not a service account key. Choose the JSON file that the Google Cloud console downloaded."
    )]
    TooLarge,
    #[error(
        "The key file is not JSON (line {line}, column {column}). Choose the JSON file that the Google Cloud console downloaded, unchanged."
    )]
    NotJson { line: usize, column: usize },
    #[error(
        "The key file is JSON but not a service account key ({found}). Create a key of type JSON for the service account in the Google Cloud console."
    )]
    NotServiceAccount { found: &'static str },
    #[error(
        "The key file lacks {field:?}. Download the key again from the Google Cloud console and use it unchanged."
    )]
    Missing { field: &'static str },
    #[error(
        "The private_key in the key file is not a readable RSA private key in PEM form. Download the key again from the Google Cloud console and use it unchanged."
    )]
    PrivateKey,
    #[error(
        "The token_uri in the key file is not an address. Download the key again from the Google Cloud console and use it unchanged."
    )]
    TokenUri,
}

impl KeyProblem {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "key-empty",
            Self::TooLarge => "key-too-large",
            Self::NotJson { .. } => "key-not-json",
            Self::NotServiceAccount { .. } => "key-not-service-account",
            Self::Missing { .. } => "key-field-missing",
            Self::PrivateKey => "key-private-key-unreadable",
            Self::TokenUri => "key-token-uri-invalid",
        }
    }
}

impl ServiceAccountKey {
    pub fn parse(text: &str) -> Result<Self, KeyProblem> {
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            return Err(KeyProblem::Empty);
        }
        if text.len() > 64 * 1024 {
            return Err(KeyProblem::TooLarge);
        }
        let json: Value = serde_json::from_str(text).map_err(|error| KeyProblem::NotJson {
            line: error.line(),
            column: error.column(),
        })?;
        let Value::Object(fields) = json else {
            return Err(KeyProblem::NotServiceAccount {
                found: "it holds a list or a single value",
            });
        };
        if fields.contains_key("installed") || fields.contains_key("web") {
            return Err(KeyProblem::NotServiceAccount {
                found: "it is an OAuth client",
            });
        }
        match fields.get("type").and_then(Value::as_str) {
            Some("service_account") => {}
            Some("authorized_user") => {
                return Err(KeyProblem::NotServiceAccount {
                    found: "it is a user's own credential",
                });
            }
            Some("external_account") => {
                return Err(KeyProblem::NotServiceAccount {
                    found: "it is a workload identity configuration",
                });
            }
            Some(_) => {
                return Err(KeyProblem::NotServiceAccount {
                    found: "its type is another one",
                });
            }
            // Emulators and hand-made files may leave the type out: the fields decide.
            None if fields.contains_key("private_key") || fields.contains_key("client_email") => {}
            None => {
                return Err(KeyProblem::NotServiceAccount {
                    found: "it has no type",
                });
            }
        }
        let field = |name: &'static str| {
            fields
                .get(name)
                .and_then(Value::as_str)
                .map(str::trim)
                .filter(|value| !value.is_empty())
        };
        let required = |name| field(name).ok_or(KeyProblem::Missing { field: name });
        let client_email = required("client_email")?.to_owned();
        let private_key = required("private_key")?;
        let token_uri = required("token_uri")?;
        let audience = token_uri.to_owned();
        let token_uri = Url::parse(token_uri).map_err(|_| KeyProblem::TokenUri)?;
        if !matches!(token_uri.scheme(), "https" | "http") || !token_uri.has_host() {
            return Err(KeyProblem::TokenUri);
        }
        // Signing once proves that the key is a whole one.
        let signer = EncodingKey::from_rsa_pem(private_key.as_bytes())
            .map_err(|_| KeyProblem::PrivateKey)?;
        jsonwebtoken::crypto::sign(b"probe", &signer, jsonwebtoken::Algorithm::RS256)
            .map_err(|_| KeyProblem::PrivateKey)?;
        Ok(Self {
            client_email,
            client_id: field("client_id").map(str::to_owned),
            key_id: field("private_key_id").map(str::to_owned),
            token_uri,
            audience,
            signer,
        })
    }

    pub fn client_email(&self) -> &str {
        &self.client_email
    }

    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    pub fn token_uri(&self) -> &Url {
        &self.token_uri
    }

    pub(super) fn audience(&self) -> &str {
        &self.audience
    }

    pub(super) fn signer(&self) -> &EncodingKey {
        &self.signer
    }

    /// The name by which an administrator finds the delegation in the Admin console.
    pub fn delegation_name(&self) -> String {
        match &self.client_id {
            Some(id) => format!("client ID {id}"),
            None => format!("the client ID of {}", self.client_email),
        }
    }
}
