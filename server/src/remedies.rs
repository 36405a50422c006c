//! What the codes of failed operations mean for people, and what helps (S8.6). Console, shell and
//! files say the same.

/// A short title, and what to do.
pub type Explained = (&'static str, &'static str);

/// Of an operation that failed, by the code under which the app's client or the journal kept it.
pub fn of_operation(code: &str) -> Explained {
    match code {
        "scim-conflict" => (
            "The user name is taken",
            "Release the user name in the app, or change the person's address. It is tried again when what is sent changes.",
        ),
        "scim-rejected" => (
            "The app refused it",
            "Correct the value in Google or in the mapping. It is tried again when what is sent changes.",
        ),
        "scim-unsupported" | "scim-media-type" => (
            "The app can't do this",
            "Leave the attribute out of the mapping, or ask the app's support.",
        ),
        "scim-forbidden" => (
            "The app does not let this account be written",
            "Look in the app whether the person owns or administrates it, or is managed by somebody else there.",
        ),
        "scim-no-seats" => (
            "The app has no seat left",
            "Buy seats, or take accounts away that nobody needs. Creates go on by themselves then.",
        ),
        "scim-authorization" | "scim-token-unusable" => {
            ("The app refused the access token", "Reauthorize the app.")
        }
        "account-gone" => (
            "The account is gone from the app",
            "Decide whether to create it again or to remove the link.",
        ),
        "account-linked" => (
            "The account belongs to somebody else",
            "Look in the app whose account it is, and free the user name for the other person.",
        ),
        "account-unclear" => (
            "It is not clear which account is theirs",
            "Remove the accounts that are too many in the app, then retry.",
        ),
        "answer-unrecordable" => (
            "The app's answer could not be kept",
            "Retry. If it stays, look at the server's log.",
        ),
        "names-in-a-ring" => (
            "User names are exchanged in a ring",
            "Give one of these people another address for a while, and the right one after the next run.",
        ),
        "scim-rate-limited" => ("The app asked to slow down", "It is tried again by itself."),
        "scim-ambiguous" => (
            "It is not known whether it arrived",
            "The next run looks before it sends it again.",
        ),
        "scim-no-answer" | "scim-unreachable" | "scim-transient" => {
            ("The app did not answer", "It is tried again by itself.")
        }
        "scim-endpoint" | "scim-web-page" | "scim-redirect" | "scim-not-found" => (
            "The app did not answer in SCIM",
            "Check the endpoint of the app. It is tried again by itself.",
        ),
        _ => (
            "It did not work",
            "Retry, or look at the event in the audit log for the app's answer.",
        ),
    }
}
