//! The app, whoever wrote it: what it was sent, and what it holds.

use serde_json::Value;
use server::sandbox::Sandbox;

use crate::python::{ScimServer, TOKEN};
use crate::recorder::Recorder;

pub enum App {
    /// The emulated Asana, which can be told to fail.
    Emulated(Sandbox, String),
    /// scim2-server, reached through a recorder.
    Foreign(Box<ScimServer>, Recorder),
}

/// An account as far as it is compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    pub id: String,
    pub user_name: String,
    pub active: bool,
    pub name: Option<String>,
    pub title: Option<String>,
}

/// A request that the app answered, whether or not anybody heard it.
#[derive(Debug, Clone)]
pub struct Answered {
    pub method: String,
    pub path: String,
    pub body: Value,
    pub status: u16,
}

impl Answered {
    /// The account that a write of an existing account was about.
    pub fn account(&self) -> &str {
        self.path.rsplit('/').next().unwrap()
    }

    /// Whether the account shall be active, when the write says so.
    pub fn active(&self) -> Option<bool> {
        let plain = || self.body["active"].as_bool();
        let patched = || {
            let operations = self.body["Operations"].as_array()?;
            operations.iter().find_map(|one| match &one["value"] {
                Value::Bool(active) if one["path"] == "active" => Some(*active),
                value => value["active"].as_bool(),
            })
        };
        plain().or_else(patched)
    }
}

impl App {
    pub async fn emulated(sandbox: Sandbox, base: String) -> Self {
        Self::Emulated(sandbox, base)
    }

    pub async fn foreign(_: Sandbox, _: String) -> Self {
        // The recorder's client wants a provider, though nothing here speaks TLS.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = ScimServer::start().await;
        let recorder = Recorder::before(&server.base).await;
        Self::Foreign(Box::new(server), recorder)
    }

    pub fn endpoint(&self) -> String {
        match self {
            Self::Emulated(_, base) => Sandbox::scim_endpoint(base),
            Self::Foreign(_, recorder) => format!("{}/v2", recorder.base()),
        }
    }

    pub fn token(&self) -> String {
        match self {
            Self::Emulated(sandbox, _) => sandbox.asana_token(),
            Self::Foreign(..) => TOKEN.to_owned(),
        }
    }

    /// The app when faults can be asked of it.
    pub fn as_emulated(&self) -> Option<&Sandbox> {
        match self {
            Self::Emulated(sandbox, _) => Some(sandbox),
            Self::Foreign(..) => None,
        }
    }

    pub fn requests(&self) -> u64 {
        match self {
            Self::Emulated(sandbox, _) => sandbox.scim_requests(),
            Self::Foreign(_, recorder) => recorder.mark() as u64,
        }
    }

    /// Waits until nothing of a killed process is on its way any more.
    pub async fn quiet(&self) {
        if let Self::Foreign(_, recorder) = self {
            recorder.settle().await;
        }
    }

    pub fn answered(&self) -> Vec<Answered> {
        match self {
            Self::Emulated(sandbox, _) => sandbox
                .recorded()
                .into_iter()
                .map(|one| Answered {
                    method: one.method,
                    path: one.path,
                    body: one.body,
                    status: one.status,
                })
                .collect(),
            Self::Foreign(_, recorder) => recorder
                .passed()
                .into_iter()
                .map(|one| Answered {
                    method: one.method.to_string(),
                    path: one.path,
                    body: one.body,
                    status: one.status,
                })
                .collect(),
        }
    }

    pub async fn accounts(&self) -> Vec<Account> {
        match self {
            Self::Emulated(sandbox, _) => sandbox
                .accounts()
                .into_iter()
                .map(|account| Account {
                    name: account.attributes["name"]["formatted"]
                        .as_str()
                        .map(str::to_owned),
                    title: account.title().map(str::to_owned),
                    id: account.id,
                    user_name: account.user_name,
                    active: account.active,
                })
                .collect(),
            Self::Foreign(server, _) => {
                let text = |value: &Value| value.as_str().map(str::to_owned);
                let accounts = server.accounts().await;
                accounts
                    .iter()
                    .map(|account| Account {
                        id: text(&account["id"]).unwrap(),
                        user_name: text(&account["userName"]).unwrap(),
                        active: account["active"].as_bool().unwrap(),
                        name: text(&account["name"]["formatted"]),
                        title: text(&account["title"]),
                    })
                    .collect()
            }
        }
    }
}
