//! What holds for every history, however people come, go and are renamed; for every request, and
//! for every text from outside.

// Helpers of tests are outside of what clippy takes for a test.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod company;
mod file;
mod history;
mod requests;
mod texts;

use proptest::prelude::*;
use provisioning::catalog::{CatalogEntry, entry};
use serde_json::Value;

/// Times `ROLLCALL_PROPERTY_FACTOR`, for long runs.
fn cases(cases: u32) -> ProptestConfig {
    let factor = std::env::var("ROLLCALL_PROPERTY_FACTOR")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    let usual = ProptestConfig::default();
    ProptestConfig {
        cases: cases * factor,
        // Long runs throw away as large a share as short ones.
        max_local_rejects: usual.max_local_rejects.saturating_mul(factor),
        max_global_rejects: usual.max_global_rejects.saturating_mul(factor),
        failure_persistence: None,
        ..usual
    }
}

fn asana() -> &'static CatalogEntry {
    entry("asana").unwrap()
}

fn contains_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(contains_null),
        Value::Object(members) => members.values().any(contains_null),
        _ => false,
    }
}
