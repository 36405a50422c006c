//! A company: its directory, an app that others wrote, and Rollcall as a program in between.

use std::ops::Deref;

use server::sandbox::{Sandbox, SandboxOptions};
use sqlx::PgPool;

use crate::program::{self, Places, Program};
use crate::python::{ScimServer, TOKEN};
use crate::recorder::Recorder;

pub struct Company {
    pub program: Program,
    pub sandbox: Sandbox,
    pub server: ScimServer,
    /// In front of Google's directory.
    pub directory: Recorder,
    /// In front of the app.
    pub app: Recorder,
}

impl Deref for Company {
    type Target = Program;

    fn deref(&self) -> &Program {
        &self.program
    }
}

impl Company {
    pub async fn found(pool: PgPool) -> Self {
        Self::found_with(pool, |_| {}).await
    }

    pub async fn found_with(pool: PgPool, adapt: impl FnOnce(&mut SandboxOptions)) -> Self {
        Self::found_before(pool, ScimServer::start().await, adapt).await
    }

    pub async fn found_before(
        pool: PgPool,
        server: ScimServer,
        adapt: impl FnOnce(&mut SandboxOptions),
    ) -> Self {
        // The recorder's client wants a provider, though nothing here speaks TLS.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let program = Program::new(pool);
        let (sandbox, google) = program::emulate(&program.clock, adapt).await;
        program.write("sa.json", &sandbox.service_account_key_json(&google));
        program.write("token", TOKEN);
        Self {
            program,
            directory: Recorder::before(&google).await,
            app: Recorder::before(&server.base).await,
            sandbox,
            server,
        }
    }

    /// A configuration file for everybody, with the default mapping of a catalogue entry.
    pub fn file(&self, catalog: &str) -> String {
        self.program.file(&Places {
            directory: self.directory.base(),
            app: &format!("{}{}", self.app.base(), self.server.prefix),
            catalog,
        })
    }

    /// Those who should have an account, told from the directory alone.
    pub fn in_scope(&self) -> Vec<String> {
        program::in_scope(&self.sandbox)
    }

    /// Rows of what a configuration file and a run leave behind.
    pub async fn rows(&self) -> i64 {
        sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM apps) + (SELECT count(*) FROM app_configs)
                + (SELECT count(*) FROM app_drafts) + (SELECT count(*) FROM credentials)
                + (SELECT count(*) FROM directory_connection) + (SELECT count(*) FROM events)
                + (SELECT count(*) FROM runs) + (SELECT count(*) FROM imports)",
        )
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }
}
