//! An authenticator in software, and the browser in front of it: what they sign is under the
//! test's control, wrong origins included.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;

/// One credential of one authenticator.
#[derive(Clone)]
pub struct Key {
    pub id: [u8; 16],
    key: SigningKey,
    pub counter: u32,
    /// Where the browser says that it is.
    pub origin: String,
    /// For which site the authenticator signs.
    pub site: String,
    /// Whether the authenticator recognized its owner.
    pub verifies: bool,
}

impl Key {
    pub fn new(origin: &str, site: &str) -> Self {
        let key = loop {
            let bytes: [u8; 32] = rand::random();
            if let Ok(key) = SigningKey::from_slice(&bytes) {
                break key;
            }
        };
        Self {
            id: rand::random(),
            key,
            counter: 1,
            origin: origin.to_owned(),
            site: site.to_owned(),
            verifies: true,
        }
    }

    fn flags(&self, more: u8) -> u8 {
        PRESENT | more | if self.verifies { VERIFIED } else { 0 }
    }

    fn data(&self, flags: u8) -> Vec<u8> {
        let mut data = Sha256::digest(self.site.as_bytes()).to_vec();
        data.push(flags);
        data.extend(self.counter.to_be_bytes());
        data
    }

    fn client_data(&self, kind: &str, asks: &Value) -> Vec<u8> {
        let challenge = &asks["challenge"];
        json!({ "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false })
            .to_string()
            .into_bytes()
    }

    /// What the browser sends after making this credential.
    pub fn made(&self, asks: &str) -> String {
        let asks: Value = serde_json::from_str(asks).unwrap();
        let client_data = self.client_data("webauthn.create", &asks);
        let mut data = self.data(self.flags(ATTESTED));
        data.extend([0; 16]);
        data.extend([0, 16]);
        data.extend(self.id);
        let point = self.key.verifying_key().to_encoded_point(false);
        // A COSE key: EC2, ES256, P-256.
        data.extend([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]);
        data.extend(point.x().unwrap());
        data.extend([0x22, 0x58, 0x20]);
        data.extend(point.y().unwrap());
        let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData".to_vec();
        object.extend([0x58, u8::try_from(data.len()).unwrap()]);
        object.extend(&data);
        self.answer(&json!({
            "clientDataJSON": BASE64.encode(client_data),
            "attestationObject": BASE64.encode(object),
            "transports": ["usb"],
        }))
    }

    /// What is the same of every answer.
    fn answer(&self, response: &Value) -> String {
        json!({
            "id": BASE64.encode(self.id),
            "rawId": BASE64.encode(self.id),
            "type": "public-key",
            "authenticatorAttachment": "cross-platform",
            "clientExtensionResults": {},
            "response": response,
        })
        .to_string()
    }

    /// What the browser sends after this credential signed; its counter goes on.
    pub fn signed(&mut self, asks: &str) -> String {
        let asks: Value = serde_json::from_str(asks).unwrap();
        self.counter += 1;
        let client_data = self.client_data("webauthn.get", &asks);
        let data = self.data(self.flags(0));
        let mut signed = data.clone();
        signed.extend(Sha256::digest(&client_data));
        let signature: Signature = self.key.sign(&signed);
        self.answer(&json!({
            "clientDataJSON": BASE64.encode(client_data),
            "authenticatorData": BASE64.encode(data),
            "signature": BASE64.encode(signature.to_der()),
        }))
    }
}
