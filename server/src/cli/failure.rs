//! How a command ends when it did not do what it was asked.

use std::fmt::Display;
use std::process::ExitCode;

use crate::installation::InstallationError;
use crate::settings::SettingsError;
use crate::store::StoreError;
use crate::telemetry::LogFilterError;

/// One clear line, and the exit code that goes with it.
#[derive(Debug)]
pub struct Failure {
    pub code: u8,
    /// Empty when everything was said already.
    pub message: String,
}

impl Failure {
    /// It was tried and did not work.
    pub fn failed(message: impl Display) -> Self {
        Self {
            code: 1,
            message: message.to_string(),
        }
    }

    /// What was asked for can't be understood or is not possible: options, files, settings.
    pub fn usage(message: impl Display) -> Self {
        Self {
            code: 2,
            message: message.to_string(),
        }
    }

    /// Prints the line and gives the process's exit code.
    pub fn report(&self) -> ExitCode {
        if !self.message.is_empty() {
            eprintln!("rollcall: {}", self.message.replace('\n', " "));
        }
        ExitCode::from(self.code)
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self::usage(error)
    }
}

impl From<LogFilterError> for Failure {
    fn from(error: LogFilterError) -> Self {
        Self::usage(error)
    }
}

impl From<InstallationError> for Failure {
    fn from(error: InstallationError) -> Self {
        match error {
            InstallationError::NoSecretKey => Self::usage(error),
            error => Self::failed(error),
        }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::failed(format!("the database did not answer: {error}"))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::failed(error)
    }
}
