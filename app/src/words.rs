//! Sentences for codes: what happened, what it means, what helps.

use crate::api::{
    ApiError, ErrorCode, FieldCode, FieldError,
    terms::{AppStatus, OperationKind, Role, StopReason, Trigger},
};

pub struct Sentence {
    pub title: String,
    pub text: String,
}

fn sentence(title: &str, text: &str) -> Sentence {
    Sentence {
        title: title.to_owned(),
        text: text.to_owned(),
    }
}

#[must_use]
pub fn error(error: &ApiError) -> Sentence {
    use ErrorCode as C;
    let arg = error.args.first().map_or("", String::as_str);
    match error.code {
        C::Unauthenticated => sentence(
            "You are not signed in",
            "Sign in to go on; you come back to this page.",
        ),
        C::Forbidden => sentence(
            "You may read this, not change it",
            "You are signed in as an auditor. A super administrator can change it.",
        ),
        C::NotFound => sentence(
            "There is nothing here",
            "It may have been removed, or the address is mistyped.",
        ),
        C::Conflict => sentence(
            "Somebody else changed this meanwhile",
            "Nothing was saved. Reload the page to see the other change, then make yours again.",
        ),
        C::Invalid => match error.fields.len() {
            0 | 1 => sentence("One field needs another look", "Nothing was saved yet."),
            n => Sentence {
                title: format!("{n} fields need another look"),
                text: "Nothing was saved yet.".to_owned(),
            },
        },
        C::BadRequest => sentence(
            "The form could not be read",
            "It may be from an older version of this page. Reload it and try again.",
        ),
        C::WrongCredentials if arg.is_empty() => sentence("E-mail or password is wrong", ""),
        C::WrongCredentials => Sentence {
            title: "E-mail or password is wrong".to_owned(),
            text: format!("The next try is possible in {arg} seconds."),
        },
        C::WrongCode => sentence(
            "This code is not right",
            "Enter the one that the app shows now. Each works once.",
        ),
        C::PasskeyRefused => sentence(
            "This passkey was not accepted",
            "Try again. If it happens again, use another second factor, and set this one up anew.",
        ),
        C::PasskeyUnused => sentence(
            "No passkey was used",
            "The browser has none for this address, or it was cancelled. Try again, or use another second factor.",
        ),
        C::PasskeysElsewhere => Sentence {
            title: "Passkeys work at another address".to_owned(),
            text: format!("Open the console at {arg} to use them."),
        },
        C::PasskeysImpossible => sentence(
            "Passkeys can't be used at this console's address",
            "Browsers offer them only over https and at an address with a name. An operator sets it with ROLLCALL_PUBLIC_URL.",
        ),
        C::TooManyPasskeys => sentence(
            "There are 20 passkeys already",
            "Remove one that is not in use, then add this one.",
        ),
        C::ConfirmFirst => sentence(
            "Confirm that it is you first",
            "This needs your second factor or your password, given in the last 10 minutes.",
        ),
        C::SecondFactorNeeded => sentence(
            "A super administrator needs a second factor",
            "Set up another one before you take this one off.",
        ),
        C::NotYourself => sentence(
            "Your own access is for another super administrator to change",
            "Nothing was changed.",
        ),
        C::LastSuperAdministrator => sentence(
            "This is the last super administrator who can sign in",
            "Nothing was changed. Make somebody else a super administrator first.",
        ),
        C::TooManyAttempts => Sentence {
            title: "Too many failed tries".to_owned(),
            text: format!("The next try is possible in {arg} seconds."),
        },
        C::LinkInvalid => sentence(
            "This link is not known",
            "Copy it again, complete. A super administrator or an operator can make a new one.",
        ),
        C::LinkExpired => sentence(
            "This link has expired",
            "A super administrator can make a new one on the Administrators page, an operator with rollcall admin reset.",
        ),
        C::LinkUsed => sentence(
            "This link was used already",
            "It works once. Sign in, or have an operator make a new one with rollcall admin reset.",
        ),
        C::DirectoryNotConnected => sentence(
            "The directory is not connected",
            "Connect your Google directory first; everything else follows from it.",
        ),
        C::DirectoryNotRead => sentence(
            "The directory was not read yet",
            "Read it once on the connection page. Until then there is nobody to plan for.",
        ),
        C::DirectoryChanged => sentence(
            "Another directory answered",
            "Its customer id or primary domain differs from before. Confirm it on the connection page.",
        ),
        C::DirectoryUnreachable => sentence(
            "Google could not be reached",
            "Nothing was changed. It is usually short; try again in a minute.",
        ),
        C::DirectoryRefused => sentence(
            "Google refused the key",
            "Check the key, the administrator, and domain-wide delegation in Google's Admin console.",
        ),
        C::ImportRunning => sentence(
            "The directory is being read",
            "Wait for it to finish; it takes a moment.",
        ),
        C::SignInMissing => sentence(
            "Sign-in is not set up",
            "Record how people sign in to the app first. Autoprovisioning comes after it.",
        ),
        C::NotConfigured => sentence("Autoprovisioning is not configured", "Set it up first."),
        C::StepMissing => Sentence {
            title: "A step before this one is not finished".to_owned(),
            text: format!("Finish “{arg}” first."),
        },
        C::AlreadyOn => sentence("It is on already", "Reload the page to see how it stands."),
        C::AlreadyOff => sentence("It is off already", "Reload the page to see how it stands."),
        C::RunActive => sentence(
            "A run is under way",
            "Two runs of one app never overlap. Wait for it or stop it.",
        ),
        C::RunNotActive => sentence("The run is over", "Reload the page to see how it ended."),
        C::PlanOutdated => sentence(
            "The plan is no longer true",
            "The directory or the configuration changed since. Plan again and look at what is different.",
        ),
        C::TokenMissing => sentence("There is no access token", "Authorize the app first."),
        C::TokenRefused => sentence(
            "The app refused the access token",
            "Nothing was stored. Copy the token again, complete, from an account that may manage people.",
        ),
        C::AppUnreachable => sentence(
            "The app could not be reached",
            "Check the endpoint. When it is right, try again in a minute.",
        ),
        C::AppAnsweredOddly => Sentence {
            title: "The app did not answer in SCIM".to_owned(),
            text: format!(
                "{} Check that the endpoint is the SCIM one and not a web page.",
                if arg.is_empty() {
                    String::new()
                } else {
                    format!("It sent {arg}.")
                }
            ),
        },
        C::AppThrottled => sentence("The app asked to slow down", "Try again in a minute."),
        C::TargetNotAllowed => sentence(
            "This address is not allowed",
            "Only https addresses on the public internet are, unless the operator allows others.",
        ),
        C::DemoOnly => sentence(
            "This page belongs to the demo",
            "Start rollcall demo to use it.",
        ),
        C::Unavailable => sentence(
            "The server did not answer",
            "Nothing is known to be changed. Try again in a moment.",
        ),
        C::Internal => sentence(
            "Something went wrong on the server",
            "It is in the server's log. Try again; if it stays, tell the operator the time.",
        ),
    }
}

#[must_use]
pub fn field(error: &FieldError) -> String {
    use FieldCode as C;
    let arg = error.args.first().map_or("", String::as_str);
    match error.code {
        C::Required => "This is needed.".to_owned(),
        C::TooLong if arg.is_empty() => "This is too long.".to_owned(),
        C::TooLong => format!("This is too long; at most {arg} characters."),
        C::TooShort if arg.is_empty() => "This is too short.".to_owned(),
        C::TooShort => format!("This is too short; at least {arg} characters."),
        C::NotAnEmail => "This is not an e-mail address.".to_owned(),
        C::NotAUrl => "This is not an address. It starts with https://".to_owned(),
        C::NotHttps => "Must start with https.".to_owned(),
        C::TargetNotAllowed => "This address is private. Only public ones are allowed, unless the operator allows others.".to_owned(),
        C::NotJson => "This is not JSON. Paste the whole file, from { to }.".to_owned(),
        C::NotAServiceAccountKey => "This is JSON, but not a service-account key: client_email, private_key or token_uri is missing.".to_owned(),
        C::KeyUnreadable => "The private key inside can't be read. Create a new key in Google Cloud and paste that file.".to_owned(),
        C::NotMetadata => metadata(arg).to_owned(),
        C::CertificateExpired => "The certificate inside has expired. Get the current metadata.".to_owned(),
        C::PasswordTooCommon => "This password is among the first ones that are guessed. Choose another.".to_owned(),
        C::PasswordWrong => "This is not your password.".to_owned(),
        C::CodeWrong => "This code is not right. Enter the one that the app shows now; each works once.".to_owned(),
        C::PasswordsDiffer => "The two passwords differ.".to_owned(),
        C::Taken => "This is taken already.".to_owned(),
        C::Unknown => "Nothing is known by this.".to_owned(),
        C::MandatoryUnmapped => "Mandatory. Choose where it comes from.".to_owned(),
        C::SourceUnknown => "The directory has no such attribute.".to_owned(),
        C::ExpressionInvalid => expression(&error.args),
        C::DefaultMissing => "Enter the value to use instead.".to_owned(),
        C::ConstantMissing => "Enter the constant.".to_owned(),
        C::MappedTwice => "This attribute is mapped twice.".to_owned(),
        C::WindowUnknown => "Choose one of the times listed.".to_owned(),
        C::NothingChosen => "Choose at least one: suspend or delete.".to_owned(),
        C::NothingTicked => "Tick at least one line.".to_owned(),
        C::DeleteNotAfterSuspend => "Delete must come later than suspend. Choose a longer time for deleting, or suspend sooner.".to_owned(),
        C::GroupUnknown => "No group has this name or address. Type other letters.".to_owned(),
        C::GroupAmbiguous => "Several groups match. Choose one of them.".to_owned(),
        C::GroupTwice => "This group is there already.".to_owned(),
        C::TooMany => "There are as many as fit here already. Remove one first.".to_owned(),
        C::EveryoneUnconfirmed => "Without groups, everybody for whom the app is on gets an account. Tick the box to say that you mean it.".to_owned(),
        C::PruningUnconfirmed => "Older events would be removed for good. Tick the box to say that you mean it.".to_owned(),
        C::RestoringUnconfirmed => "Look at what follows from it, then tick the box to say that you mean it.".to_owned(),
        C::TlsNeeded => "Without TLS the password could be read on the way. Choose TLS or STARTTLS.".to_owned(),
        C::OrgUnitUnknown => "This org unit is no longer in the directory.".to_owned(),
        C::TokenRefused => "The app refused this token. Copy it again, complete.".to_owned(),
        C::OutOfRange => "This is outside what is possible.".to_owned(),
        C::Invalid => "This can't be used.".to_owned(),
    }
}

/// What is wrong with an expression: a code, or the line and the character where reading ended.
fn expression(args: &[String]) -> String {
    match args {
        [line, character] if line == "1" => format!(
            "This expression can't be read from character {character} on. Write one like person.name.givenName + ' ' + person.name.familyName."
        ),
        [line, character] => format!(
            "This expression can't be read from line {line}, character {character} on. Write one like person.name.givenName."
        ),
        [code] if code == "empty" => "Enter the expression, such as person.name.givenName.".to_owned(),
        [code] if code == "too-long" => {
            "This expression is too long; at most 1,000 characters.".to_owned()
        }
        [code] if code == "too-many-loops" => {
            "This expression loops too often; map, filter, all and exists may stand in it 3 times together.".to_owned()
        }
        _ => "This expression can't be read.".to_owned(),
    }
}

/// What is wrong with an identity provider's metadata, by its code.
fn metadata(code: &str) -> &'static str {
    match code {
        "too-large" => {
            "This is larger than 256 KiB. Use the metadata of one identity provider, not of a federation."
        }
        "document-type" => {
            "This has a document type or entities of its own, which metadata never needs. Get the file again from the identity provider."
        }
        "not-xml" => "This is not complete XML. Paste the whole file, unchanged.",
        "several" => {
            "This lists several providers. Use the metadata of the one that people sign in with."
        }
        "service-provider" => {
            "This describes the app's side. Use the metadata of the identity provider."
        }
        "entity-id" => {
            "The entity ID is missing in it. Get the file again from the identity provider."
        }
        "no-sign-in-url" => {
            "It names no sign-in address. Get the file again from the identity provider."
        }
        "sign-in-url" => {
            "The sign-in address in it does not start with https. Have it corrected at the identity provider."
        }
        "certificate" => {
            "The certificate in it can't be read. Get the file again from the identity provider."
        }
        _ => "This is not SAML metadata. Paste the whole XML file of the identity provider.",
    }
}

#[must_use]
pub fn role(role: Role) -> &'static str {
    match role {
        Role::SuperAdministrator => "super administrator",
        Role::Auditor => "auditor",
    }
}

#[must_use]
pub fn stop_reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::NeedsReauthorization => "needs reauthorization",
        StopReason::DirectoryChanged => "another directory answered",
        StopReason::ScopeUnreadable => "a group can't be read",
        StopReason::TooManyFailures => "too many failures",
        StopReason::AppUnreachable => "the app can't be reached",
        StopReason::ByAdministrator => "by an administrator",
    }
}

/// Word, icon and tone of a status.
#[must_use]
pub fn status(status: &AppStatus) -> (String, &'static str, &'static str) {
    match status {
        AppStatus::NotConfigured => ("Not configured".to_owned(), "st-none", "neutral"),
        AppStatus::Off => ("Off".to_owned(), "st-off", "neutral"),
        AppStatus::On => ("On".to_owned(), "st-on", "created"),
        AppStatus::Running { .. } => ("Running".to_owned(), "st-running", "updated"),
        AppStatus::Held { removals } => (
            format!(
                "Held, {}",
                crate::format::counted(*removals, "removal", "removals")
            ),
            "op-held",
            "held",
        ),
        AppStatus::Stopped { reason } => (
            format!("Stopped, {}", stop_reason(*reason)),
            "st-stopped",
            "failed",
        ),
    }
}

/// Present and past word, icon and tone of an operation.
#[must_use]
pub fn operation(kind: OperationKind) -> (&'static str, &'static str, &'static str, &'static str) {
    match kind {
        OperationKind::Create => ("Create", "Created", "op-create", "created"),
        OperationKind::Link => ("Link", "Linked", "op-link", "neutral"),
        OperationKind::Update => ("Update", "Updated", "op-update", "updated"),
        OperationKind::Suspend => ("Suspend", "Suspended", "op-suspend", "suspended"),
        OperationKind::Unsuspend => ("Unsuspend", "Unsuspended", "op-unsuspend", "created"),
        OperationKind::Delete => ("Delete", "Deleted", "op-delete", "deleted"),
    }
}

#[must_use]
pub fn trigger(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::AppTurnedOff => "App turned off for the person",
        Trigger::Suspended => "Suspended in Google",
        Trigger::Deleted => "Deleted from Google",
    }
}

/// What a certificate does that ends in so many days: "expires in 12 days".
#[must_use]
pub fn certificate(days: i64) -> String {
    match u32::try_from(days) {
        Err(_) => "has expired".to_owned(),
        Ok(0) => "expires within a day".to_owned(),
        Ok(days) => format!("expires in {}", crate::format::counted(days, "day", "days")),
    }
}

/// "12 removals and 1 create wait for your word"; nothing when none does.
#[must_use]
pub fn held(removals: u32, creates: u32) -> Option<String> {
    let counted =
        |n: u32, one: &str, many: &str| (n > 0).then(|| crate::format::counted(n, one, many));
    let parts: Vec<String> = [
        counted(removals, "removal", "removals"),
        counted(creates, "create", "creates"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let verb = if removals + creates == 1 {
        "waits"
    } else {
        "wait"
    };
    (!parts.is_empty()).then(|| format!("{} {verb} for your word", parts.join(" and ")))
}
