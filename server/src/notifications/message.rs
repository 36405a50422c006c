//! What somebody is told: what happened, what it means, what helps. No message names a person.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::store::notifications::MessageKind;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// A word for programs, such as `removals-held`.
    pub cause: String,
    /// Slug of the app, if it is about one.
    pub app: Option<String>,
    pub title: String,
    pub paragraphs: Vec<String>,
    /// Where it is dealt with.
    pub path: String,
    pub at: DateTime<Utc>,
}

impl Message {
    pub fn test(channel: &str, now: DateTime<Utc>) -> Self {
        Self {
            cause: "test".to_owned(),
            app: None,
            title: "Rollcall can reach you here".to_owned(),
            paragraphs: vec![
                format!("This is a test of the channel {channel}. Nothing happened."),
                "From now on you are told here when something needs somebody, and when it is over."
                    .to_owned(),
            ],
            path: "/settings/notifications".to_owned(),
            at: now,
        }
    }

    /// The second message about a cause.
    pub fn over(&self, now: DateTime<Utc>) -> Self {
        Self {
            title: format!("Over: {}", self.title),
            paragraphs: vec!["This needs nobody any more.".to_owned()],
            at: now,
            ..self.clone()
        }
    }

    fn link(&self, origin: Option<&str>) -> Option<String> {
        origin.map(|origin| format!("{origin}{}", self.path))
    }

    pub fn as_text(&self, origin: Option<&str>) -> String {
        let mut parts = self.paragraphs.clone();
        parts.extend(self.link(origin));
        let mut text = parts.join("\r\n\r\n");
        text.push_str("\r\n");
        text
    }

    pub fn as_json(&self, kind: MessageKind, origin: Option<&str>) -> Value {
        let kind = match kind {
            MessageKind::Opened => "cause.opened",
            MessageKind::Resolved => "cause.resolved",
            MessageKind::Digest => "digest",
            MessageKind::Test => "test",
        };
        json!({
            "type": kind,
            "timestamp": self.at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            // Chat programs that take webhooks show this member.
            "text": format!("{}\n{}", self.title, self.paragraphs.join("\n")),
            "data": {
                "cause": self.cause,
                "app": self.app,
                "title": self.title,
                "paragraphs": self.paragraphs,
                "link": self.link(origin),
            },
        })
    }
}
