//! The read-only scopes, one for each kind of thing that is read.

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    Users,
    Groups,
    Members,
    OrgUnits,
    Customer,
    Domains,
}

impl Scope {
    pub const ALL: [Self; 6] = [
        Self::Users,
        Self::Groups,
        Self::Members,
        Self::OrgUnits,
        Self::Customer,
        Self::Domains,
    ];

    /// As it is entered in the Admin console.
    pub fn url(self) -> &'static str {
        match self {
            Self::Users => "https://www.googleapis.com/auth/admin.directory.user.readonly",
            Self::Groups => "https://www.googleapis.com/auth/admin.directory.group.readonly",
            Self::Members => {
                "https://www.googleapis.com/auth/admin.directory.group.member.readonly"
            }
            Self::OrgUnits => "https://www.googleapis.com/auth/admin.directory.orgunit.readonly",
            Self::Customer => "https://www.googleapis.com/auth/admin.directory.customer.readonly",
            Self::Domains => "https://www.googleapis.com/auth/admin.directory.domain.readonly",
        }
    }

    /// What it is for, to follow "is not allowed to".
    pub fn purpose(self) -> &'static str {
        match self {
            Self::Users => "read people",
            Self::Groups => "read groups",
            Self::Members => "read the members of groups",
            Self::OrgUnits => "read org units",
            Self::Customer => "read the customer and its primary domain",
            Self::Domains => "read domains",
        }
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.url())
    }
}

/// The outcome of trying one scope by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeCheck {
    pub scope: Scope,
    pub purpose: &'static str,
    pub result: ScopeResult,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeResult {
    Ok,
    /// The scope is not granted; the sentence says where to grant it.
    Missing {
        sentence: String,
    },
    /// Something else is in the way.
    Failed {
        code: &'static str,
        sentence: String,
    },
}

impl ScopeCheck {
    pub fn is_ok(&self) -> bool {
        self.result == ScopeResult::Ok
    }

    /// Whether the administrator lacks the right, with the scope granted.
    pub fn is_forbidden(&self) -> bool {
        matches!(&self.result, ScopeResult::Failed { code, .. } if *code == "directory-forbidden")
    }

    /// Everything that the administrator lacks the right to, to be told at once.
    pub fn forbidden_purposes(checks: &[Self]) -> String {
        let forbidden = checks.iter().filter(|check| check.is_forbidden());
        let purposes: Vec<&str> = forbidden.map(|check| check.purpose).collect();
        purposes.join(", ")
    }

    /// What is wrong and what to do, or nothing.
    pub fn sentence(&self) -> Option<&str> {
        match &self.result {
            ScopeResult::Ok => None,
            ScopeResult::Missing { sentence } | ScopeResult::Failed { sentence, .. } => {
                Some(sentence)
            }
        }
    }
}
