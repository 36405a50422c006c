//! The head of the log, noted in a file outside the database: one JSON object a line.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;

use crate::store::seals::Head;

#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error(
        "the file of checkpoints {file} can't be used: {cause}. Give a file that this process may write"
    )]
    File {
        file: PathBuf,
        cause: std::io::Error,
    },
    #[error("line {line} of the file of checkpoints {file} is not one")]
    Line { file: PathBuf, line: usize },
}

#[derive(Serialize, Deserialize)]
struct Checkpoint {
    time: DateTime<Utc>,
    event: i64,
    events: i64,
    hash: String,
    mac: String,
}

/// Adds the head to the end of the file.
pub(super) async fn add(file: &Path, head: &Head) -> Result<(), CheckpointError> {
    let failed = |cause| CheckpointError::File {
        file: file.to_owned(),
        cause,
    };
    let line = serde_json::to_string(&Checkpoint {
        time: head.sealed_at,
        event: head.event_id,
        events: head.events,
        hash: BASE64_STANDARD.encode(&head.hash),
        mac: BASE64_STANDARD.encode(&head.mac),
    })
    .map_err(|error| failed(error.into()))?;
    let mut open = tokio::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .await
        .map_err(failed)?;
    // One write, so that lines of several processes don't mix.
    open.write_all(format!("{line}\n").as_bytes())
        .await
        .map_err(failed)?;
    open.sync_data().await.map_err(failed)
}

/// Every checkpoint in the file; none when there is no file yet.
pub(super) async fn read(file: &Path) -> Result<Vec<Head>, CheckpointError> {
    let text = match tokio::fs::read_to_string(file).await {
        Ok(text) => text,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => {
            return Err(CheckpointError::File {
                file: file.to_owned(),
                cause,
            });
        }
    };
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(at, line)| {
            parse(line).ok_or_else(|| CheckpointError::Line {
                file: file.to_owned(),
                line: at + 1,
            })
        })
        .collect()
}

fn parse(line: &str) -> Option<Head> {
    let checkpoint: Checkpoint = serde_json::from_str(line).ok()?;
    Some(Head {
        event_id: checkpoint.event,
        hash: BASE64_STANDARD.decode(checkpoint.hash).ok()?,
        events: checkpoint.events,
        sealed_at: checkpoint.time,
        mac: BASE64_STANDARD.decode(checkpoint.mac).ok()?,
    })
}
