//! From a person's attributes to the app's (S4).

mod body;
mod changes;
mod expression;
mod scim_path;
mod source;
mod value;
mod write;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use body::{ManagerAccount, MappedBody, Outcome, PreparedMapping, RowOutcome, build_body};
pub use changes::{FieldChange, changes, project, same_value};
pub use expression::{ExpressionProblem, MAX_EXPRESSION_LENGTH, check_expression};
pub use scim_path::{Filter, FilterValue, ScimPath, ScimPathProblem};
pub use source::{SOURCE_CHOICES, SourceChoice, SourcePath, SourcePathProblem};
pub(crate) use value::convert;
pub use write::{adds_entries, patch_operations, patch_value_style, replace_body};

use crate::digest::Digest;

/// RFC 7643, 8.7.1.
pub const USER_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// RFC 7643, 4.3.
pub const ENTERPRISE_SCHEMA: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// RFC 7644, 3.5.2.
pub const PATCH_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// One row of the mapping: an attribute of the app and where its value comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingRow {
    /// SCIM path: `title`, `name.formatted`, `emails[type eq "work"].value`,
    /// `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department`.
    pub attribute: String,
    pub source: Source,
    #[serde(default)]
    pub missing: Missing,
}

impl MappingRow {
    pub fn from_attribute(attribute: &str, source: &str) -> Self {
        Self {
            attribute: attribute.to_owned(),
            source: Source::Attribute(source.to_owned()),
            missing: Missing::Clear,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A directory attribute: `organizations[primary].title`.
    Attribute(String),
    /// The same JSON value for everybody.
    Constant(Value),
    /// CEL over the variable `person`, Google's user as JSON.
    Expression(String),
}

/// What a missing value does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// The app keeps what it has.
    Keep,
    #[default]
    Clear,
    Default(Value),
}

/// Equal for equal JSON values, whatever the order of their members.
pub fn canonical_hash(value: &Value) -> Digest {
    Digest::of_json(value)
}
