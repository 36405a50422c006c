//! Any configuration survives storage, and applying its export changes nothing.

use chrono::DateTime;
use proptest::prelude::*;
use provisioning::catalog::entry;
use provisioning::config::{
    Access, AppConfig, DeprovisioningPolicies, GroupRef, Linking, MappingRow, Members, Missing,
    OrgUnitAccess, PersonRef, Policy, Safety, Scope, ScopeGroup, Source, Sso, Window, diff,
    file::{AppFile, ConfigFile, DirectoryFile},
};
use serde_json::json;

use crate::cases;

fn policy() -> impl Strategy<Value = Policy> {
    let window = || prop::option::of(prop::sample::select(Window::USUAL.to_vec()));
    (window(), window()).prop_filter_map("a policy that holds", |(suspend, delete)| {
        Policy::new(suspend, delete).ok()
    })
}

fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z\"\\\\'# =é\\]]{0,8}x".prop_map(|text| text.trim().to_owned())
}

fn group() -> impl Strategy<Value = GroupRef> {
    ("[a-z]{1,6}", any::<bool>()).prop_map(|(name, known)| GroupRef {
        id: known.then(|| format!("g-{name}").into()),
        email: format!("{name}@example.com"),
        name: known.then(|| name.to_uppercase()),
    })
}

fn source() -> impl Strategy<Value = Source> {
    prop_oneof![
        Just(Source::Attribute("organizations[primary].title".into())),
        text().prop_map(|text| Source::Constant(json!(text))),
        any::<bool>().prop_map(|flag| Source::Constant(json!(flag))),
        any::<i32>().prop_map(|number| Source::Constant(json!(number))),
        Just(Source::Expression(
            "person.name.givenName + \"\\\\\" + 'x'".into()
        )),
    ]
}

fn missing() -> impl Strategy<Value = Missing> {
    prop_oneof![
        Just(Missing::Keep),
        Just(Missing::Clear),
        text().prop_map(|text| Missing::Default(json!(text))),
    ]
}

fn mapping() -> impl Strategy<Value = Vec<MappingRow>> {
    let extra = prop::sample::subsequence(
        vec!["title", "division", "locale", "x-odd", "nickName"],
        0..5,
    );
    (extra, prop::collection::vec((source(), missing()), 5)).prop_map(|(names, values)| {
        let mut rows = vec![MappingRow::from_attribute("userName", "primaryEmail")];
        rows.extend(
            names
                .iter()
                .zip(values)
                .map(|(name, (source, missing))| MappingRow {
                    attribute: (*name).to_owned(),
                    source,
                    missing,
                }),
        );
        rows
    })
}

fn config() -> impl Strategy<Value = AppConfig> {
    let units = prop::collection::btree_map("(/[A-Za-z \"\\\\é]{1,5}x){1,2}", any::<bool>(), 0..4);
    let scope = prop::collection::vec((group(), any::<bool>()), 0..3);
    let limits = (
        1..10_000u32,
        prop::option::of(1..=600u32),
        prop::option::of(1..=10u32),
        1..700u32,
    );
    let safety = (
        any::<u32>(),
        0..=100u32,
        any::<u32>(),
        prop::option::of(any::<u32>()),
    );
    let sso = prop::option::of(prop_oneof![
        Just(Sso::Google),
        (text(), prop::option::of(0..4_000_000_000i64)).prop_map(|(entity_id, time)| Sso::Saml {
            entity_id,
            sign_in_url: "https://idp.example/sso".into(),
            certificate_expires: time.and_then(|time| DateTime::from_timestamp(time, 0)),
        }),
    ]);
    let parts = (
        units,
        prop::collection::vec(group(), 0..3),
        scope,
        mapping(),
        (policy(), policy(), policy()),
    );
    (parts, limits, safety, sso, any::<bool>(), any::<bool>()).prop_map(
        |((units, on, scope, mapping, policies), limits, safety, sso, review, flag)| {
            let mut seen = std::collections::BTreeSet::new();
            let mut paths = std::collections::BTreeSet::new();
            let groups: Vec<ScopeGroup> = scope
                .into_iter()
                .filter(|(group, _)| seen.insert(group.email.clone()))
                .map(|(group, nested)| ScopeGroup {
                    group,
                    members: if nested {
                        Members::Nested
                    } else {
                        Members::Direct
                    },
                })
                .collect();
            AppConfig {
                access: Access {
                    org_units: units
                        .into_iter()
                        .filter(|(path, _)| paths.insert(path.to_lowercase()))
                        .map(|(path, on)| OrgUnitAccess {
                            id: on.then(|| format!("id:{path}").into()),
                            path,
                            on,
                        })
                        .collect(),
                    groups_on: on,
                },
                scope: Scope {
                    everyone: groups.is_empty() && flag,
                    groups,
                    secondary_domains: flag
                        .then(|| "second.example".to_owned())
                        .into_iter()
                        .collect(),
                },
                mapping,
                deprovisioning: DeprovisioningPolicies {
                    app_turned_off: policies.0,
                    suspended: policies.1,
                    deleted: policies.2,
                },
                safety: Safety {
                    hold_count: safety.0,
                    hold_percent: safety.1,
                    hold_max: safety.2,
                    hold_creates: safety.3,
                    protected: flag
                        .then(|| PersonRef {
                            id: Some("77".into()),
                            email: "ceo@example.com".into(),
                        })
                        .into_iter()
                        .collect(),
                },
                linking: if review {
                    Linking::Review
                } else {
                    Linking::Automatic
                },
                interval_minutes: limits.0,
                requests_per_minute: limits.1,
                concurrency: limits.2,
                drift_interval_hours: limits.3,
                sso,
            }
        },
    )
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn applying_an_export_changes_nothing(stored in config(), on in any::<bool>()) {
        prop_assert_eq!(stored.validate(entry("scim").unwrap(), None), vec![]);
        let app = AppFile {
            slug: "custom".parse().unwrap(),
            catalog: "scim".into(),
            name: "A \"custom\" app".into(),
            endpoint: "https://scim.example/v2".into(),
            token: None,
            autoprovisioning: on && stored.sso.is_some(),
            sso_metadata_file: None,
            config: stored.clone(),
        };
        let directory = DirectoryFile {
            service_account_file: None,
            admin_email: "admin@example.com".into(),
            customer: "C0".into(),
            endpoint: "https://admin.googleapis.com".into(),
        };
        let file = ConfigFile { directory: Some(directory), apps: vec![app] };
        let text = file.render();
        let mut again = match ConfigFile::parse(&text) {
            Ok(again) => again,
            Err(problems) => panic!("{problems:?}\n{text}"),
        };
        again.apps[0].config.keep_ids_of(&stored);
        // A group that is named twice has one id: the first one known.
        let mut expected = file.clone();
        expected.apps[0].config.keep_ids_of(&stored);
        prop_assert_eq!(&again, &expected, "{}", text);
        prop_assert_eq!(diff(&stored, &again.apps[0].config), vec![]);
    }

    #[test]
    fn a_configuration_survives_storage(config in config()) {
        let text = serde_json::to_string(&config).unwrap();
        prop_assert_eq!(serde_json::from_str::<AppConfig>(&text).unwrap(), config);
    }
}
