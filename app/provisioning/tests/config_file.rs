//! The configuration file: what it says, what it refuses and how, and that an export is the same.

// Helpers of tests are outside of what clippy takes for a test.
#![allow(clippy::expect_used)]

use provisioning::config::file::{ConfigFile, FileProblem, TokenSource};
use provisioning::config::{
    AppConfig, DeprovisioningPolicies, Members, Missing, PersonRef, Policy, Source, Sso, Window,
    diff,
};

const COMPLETE: &str = include_str!("complete.toml");

fn problems(text: &str) -> Vec<FileProblem> {
    ConfigFile::parse(text).expect_err("the file is wrong")
}

/// `key line code` of every problem.
fn short(text: &str) -> Vec<String> {
    problems(text)
        .iter()
        .map(|problem| {
            let line = problem.line.map_or("-".to_owned(), |line| line.to_string());
            format!("{} {line} {}", problem.key, problem.code)
        })
        .collect()
}

fn replaced(from: &str, to: &str) -> String {
    assert!(COMPLETE.contains(from), "{from}");
    COMPLETE.replacen(from, to, 1)
}

#[test]
fn a_complete_file_is_understood() {
    let file = ConfigFile::parse(COMPLETE).unwrap();
    let directory = file.directory.unwrap();
    assert_eq!(
        directory.service_account_file.as_deref(),
        Some("keys/northmoor.json")
    );
    assert_eq!(directory.admin_email, "admin@northmoor.example");
    let asana = &file.apps[0];
    assert_eq!(asana.slug.as_str(), "asana");
    assert_eq!(asana.token, Some(TokenSource::File("asana-token".into())));
    assert!(asana.autoprovisioning);
    let config = &asana.config;
    assert_eq!(config.sso, Some(Sso::Google));
    let units: Vec<(&str, bool)> = config
        .access
        .org_units
        .iter()
        .map(|unit| (unit.path.as_str(), unit.on))
        .collect();
    assert_eq!(units, [("/", true), ("/Contractors", false)]);
    assert_eq!(
        config.access.groups_on[0].email,
        "guests-with-asana@northmoor.example"
    );
    assert_eq!(config.scope.groups[0].members, Members::Nested);
    let attributes: Vec<&str> = config
        .mapping
        .iter()
        .map(|row| row.attribute.as_str())
        .collect();
    assert_eq!(
        attributes[..3],
        ["userName", "name.formatted", "title"],
        "in the order of the file"
    );
    assert_eq!(config.mapping[3].source, Source::Constant("en".into()));
    assert_eq!(config.mapping[6].missing, Missing::Default("NM-0".into()));
    let policy = config.deprovisioning.app_turned_off;
    assert_eq!(
        policy,
        Policy::new(Some(Window::WITHIN_24_HOURS), Some(Window::TWENTY_ONE_DAYS)).unwrap()
    );
    assert_eq!(config.safety.protected[0].email, "ceo@northmoor.example");
}

#[test]
fn what_is_left_out_has_its_default() {
    let file = ConfigFile::parse(COMPLETE).unwrap();
    let other = &file.apps[1];
    let entry = provisioning::catalog::entry("scim").unwrap();
    assert_eq!(other.name, entry.name);
    assert_eq!(other.endpoint, "https://fieldnote.example/scim/v2");
    assert!(!other.autoprovisioning);
    assert_eq!(other.token, None);
    assert_eq!(
        other.config,
        AppConfig::with_mapping(entry.default_mapping.clone())
    );
    assert!(other.config.access.org_units.is_empty(), "off everywhere");
    assert_eq!(
        other.config.deprovisioning,
        DeprovisioningPolicies::default()
    );
    assert_eq!(
        DeprovisioningPolicies::default().deleted,
        Policy::new(Some(Window::WITHIN_24_HOURS), None).unwrap()
    );
    let smallest = "[[app]]\nslug = \"asana\"\ncatalog = \"asana\"\n";
    let asana = ConfigFile::parse(smallest).unwrap();
    assert_eq!(asana.apps[0].endpoint, "https://app.asana.com/api/1.0/scim");
    assert_eq!(asana.directory, None);
    assert_eq!(ConfigFile::parse("").unwrap(), ConfigFile::default());
}

#[test]
fn an_export_read_again_is_the_same() {
    let mut file = ConfigFile::parse(COMPLETE).unwrap();
    file.apps[1].config.sso = Some(Sso::Saml {
        entity_id: "https://idp.example/\"x\"".into(),
        sign_in_url: "https://idp.example/sso".into(),
        certificate_expires: Some("2030-01-31T10:00:00Z".parse().unwrap()),
    });
    file.apps[1].config.safety.hold_creates = Some(7);
    let text = file.render();
    assert_eq!(ConfigFile::parse(&text).unwrap(), file, "{text}");
}

#[test]
fn an_export_without_ids_applied_to_what_is_stored_changes_nothing() {
    let file = ConfigFile::parse(COMPLETE).unwrap();
    let mut stored = file.apps[0].config.clone();
    stored.access.org_units[1].id = Some("id:1".into());
    stored.scope.groups[0].group.id = Some("g1".into());
    stored.scope.groups[0].group.name = Some("Engineering".into());
    stored.safety.protected[0].id = Some("7".into());
    let mut exported = file.clone();
    exported.apps[0].config = stored.clone();
    let mut applied = ConfigFile::parse(&exported.render())
        .unwrap()
        .apps
        .remove(0)
        .config;
    applied.keep_ids_of(&stored);
    assert_eq!(applied, stored);
    assert!(diff(&stored, &applied).is_empty());
}

#[test]
fn what_is_only_spelt_otherwise_in_the_file_changes_nothing() {
    let mut stored = ConfigFile::parse(COMPLETE).unwrap().apps.remove(0).config;
    stored.access.org_units[1].id = Some("id:1".into());
    stored.scope.groups[0].group.id = Some("g1".into());
    let mut applied = stored.clone();
    let unit = &mut applied.access.org_units[1];
    (unit.id, unit.path) = (None, unit.path.to_uppercase());
    let group = &mut applied.scope.groups[0].group;
    (group.id, group.email) = (None, group.email.to_uppercase());
    applied.keep_ids_of(&stored);
    assert_eq!(applied, stored);
}

#[test]
fn two_protected_people_who_had_the_same_address_are_exported_by_id() {
    let mut file = ConfigFile::parse(COMPLETE).unwrap();
    let email = "ceo@example.com".to_owned();
    file.apps[0].config.safety.protected = ["7", "8"]
        .map(|id| PersonRef {
            id: Some(id.into()),
            email: email.clone(),
        })
        .into();
    let again = ConfigFile::parse(&file.render()).unwrap();
    let ids = again.apps[0].config.safety.protected.iter();
    let ids: Vec<&str> = ids
        .filter_map(|one| Some(one.id.as_ref()?.as_str()))
        .collect();
    assert_eq!(ids, ["7", "8"]);
}

#[test]
fn a_policy_whose_delete_is_not_later_is_named_by_key_and_line() {
    let text = replaced(
        "deleted = { suspend = \"24h\", delete = \"7d\" }",
        "deleted = { suspend = \"7d\", delete = \"7d\" }",
    );
    let problems = problems(&text);
    assert_eq!(problems.len(), 1);
    assert_eq!(
        problems[0].to_string(),
        "app[0].deprovisioning.deleted.delete: delete must be later than suspend, and 7d is not later than 7d; \
         choose a longer time for delete, or suspend sooner (line 48)"
    );
}

#[test]
fn every_error_is_reported_at_once() {
    let text = r#"
colour = "blue"

[directory.google]
admin = "x@y.example"

[[app]]
slug = "Asana"
catalog = "asana"
autoprovisioning = "yes"
interval_minutes = "60"
requests_per_minute = 9000
token_file = "a"
token_env = "B"

[app.access.org_units]
"Contractors" = "off"
"/x" = "maybe"

[app.scope]
groups = [{ email = "eng@example.com" }, { mail = "a@b.example", members = "all" }]

[app.mapping]
userName = "primaryEmail"
name.formatted = "name.fullName"
"title" = { from = "organizations.title", constant = "x" }
"division" = 7
"shoeSize" = "primaryEmail"

[app.deprovisioning]
suspended = { suspend = "2d3", delete = "1d" }
deleted = {}
fired = { suspend = "24h" }

[app.safety]
hold_percent = 120
protected = ["nobody"]

[[app]]
catalog = "nimbus"
"#;
    assert_eq!(
        short(text),
        [
            "colour 2 unknown-key",
            "directory.google.admin_email 4 missing-key",
            "directory.google.admin 5 unknown-key",
            "app[0].slug 8 bad-slug",
            "app[0].autoprovisioning 10 unknown-value",
            "app[0].interval_minutes 11 wrong-type",
            "app[0].requests_per_minute 12 out-of-range",
            "app[0].token_env 14 token-twice",
            "app[0].access.org_units.\"Contractors\" 17 bad-org-unit",
            "app[0].access.org_units.\"/x\" 18 unknown-value",
            "app[0].scope.groups[0].members 21 missing-key",
            "app[0].scope.groups[1].email 21 missing-key",
            "app[0].scope.groups[1].members 21 unknown-value",
            "app[0].scope.groups[1].mail 21 unknown-key",
            "app[0].mapping.\"name.formatted\" 23 mandatory-unmapped",
            "app[0].mapping.\"name\" 25 no-source",
            "app[0].mapping.\"name\".formatted 25 unknown-key",
            "app[0].mapping.\"title\" 26 several-sources",
            "app[0].mapping.\"division\" 27 wrong-type",
            "app[0].mapping.\"shoeSize\" 28 unknown-attribute",
            "app[0].deprovisioning.suspended.suspend 31 unknown-window",
            "app[0].deprovisioning.deleted 32 no-step",
            "app[0].deprovisioning.fired 33 unknown-key",
            "app[0].safety.hold_percent 36 out-of-range",
            "app[0].safety.protected[0] 37 bad-address",
            "app[1].slug 39 missing-key",
            "app[1].catalog 40 unknown-catalog",
        ]
    );
}

#[test]
fn sso_is_needed_where_autoprovisioning_is_on() {
    let text = replaced("[app.sso]\nmethod = \"google\"\n", "");
    assert_eq!(short(&text), ["app[0].sso 7 sso-missing"]);
    let off = text.replacen("autoprovisioning = \"on\"", "autoprovisioning = \"off\"", 1);
    assert_eq!(ConfigFile::parse(&off).unwrap().apps[0].config.sso, None);
}

#[test]
fn saml_needs_its_metadata_and_nothing_twice() {
    let with = |lines: &str| {
        replaced(
            "method = \"google\"\n",
            &format!("method = \"saml\"\n{lines}\n"),
        )
    };
    let file = ConfigFile::parse(&with("metadata_file = \"idp.xml\"")).unwrap();
    assert_eq!(file.apps[0].sso_metadata_file.as_deref(), Some("idp.xml"));
    assert_eq!(
        short(&with("")),
        ["app[0].sso.metadata_file 20 missing-key"]
    );
    let twice = with("metadata_file = \"idp.xml\"\nentity_id = \"x\"");
    assert_eq!(short(&twice), ["app[0].sso.metadata_file 22 sso-twice"]);
    let google = replaced(
        "method = \"google\"\n",
        "method = \"google\"\nmetadata_file = \"x\"\n",
    );
    assert_eq!(short(&google), ["app[0].sso.metadata_file 22 unknown-key"]);
    let wrong = replaced(
        "method = \"google\"\n",
        "method = \"ldap\"\nmetadata_file = \"x\"\n",
    );
    assert_eq!(short(&wrong), ["app[0].sso.method 21 unknown-value"]);
}

#[test]
fn a_mapping_without_a_mandatory_attribute_is_refused() {
    let text = replaced("\"userName\" = \"primaryEmail\"\n", "");
    assert_eq!(
        short(&text),
        ["app[0].mapping.\"userName\" 36 mandatory-unmapped"]
    );
}

#[test]
fn two_apps_cannot_share_a_slug_and_a_custom_app_needs_an_address() {
    let text = replaced("slug = \"fieldnote\"", "slug = \"asana\"");
    assert_eq!(short(&text), ["app[1].slug 57 slug-twice"]);
    let text = replaced("endpoint = \"https://fieldnote.example/scim/v2/\"\n", "");
    assert_eq!(short(&text), ["app[1].endpoint 56 missing-key"]);
    for bad in [
        "fieldnote.example",
        "ftp://x",
        "https://",
        "https://a b",
        "https://x/?a=1",
        "https://u@x/",
    ] {
        let text = replaced("https://fieldnote.example/scim/v2/", bad);
        assert_eq!(short(&text), ["app[1].endpoint 59 bad-endpoint"], "{bad}");
    }
}

#[test]
fn what_is_not_toml_says_where() {
    assert_eq!(short("a = \nb = 1\n[[app]\n").len(), 2);
    let problems = problems("[directory.google]\nadmin_email = \"x\n");
    assert_eq!(problems[0].code, "not-toml");
    assert_eq!(problems[0].line, Some(2));
    assert!(!problems[0].to_string().contains('\n'));
}
