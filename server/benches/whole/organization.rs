//! A company of any size, the same each time: whoever is number `n` looks the same in every run.

use std::fmt::Write as _;

/// Every person's directory entry as Google writes it, with what an average one fills in.
pub fn person(n: usize, version: u32, suspended: bool) -> String {
    let h = mix(n as u64);
    let (given, family) = (
        GIVEN[pick(h, 8, GIVEN.len())],
        FAMILY[pick(h, 16, FAMILY.len())],
    );
    let (title, team) = (TITLES[pick(h, 24, TITLES.len())], n % 40);
    let title = if version == 0 {
        title.to_owned()
    } else {
        format!("{title} {version}")
    };
    let mut json = String::with_capacity(1800);
    write!(
        json,
        r#"{{"kind":"admin#directory#user","id":"{id}","etag":"\"{h:x}{version}\"","primaryEmail":"{given}.{family}.{n}@bench.example","name":{{"givenName":"{given}","familyName":"{family} {n}","fullName":"{given} {family} {n}"}},"isAdmin":false,"isDelegatedAdmin":false,"lastLoginTime":"2026-11-20T08:15:00.000Z","creationTime":"2021-03-01T09:00:00.000Z","agreedToTerms":true,"suspended":{suspended},"archived":false,"changePasswordAtNextLogin":false,"ipWhitelisted":false,"emails":[{{"address":"{given}.{family}.{n}@bench.example","primary":true}},{{"address":"{given}.{family}.{n}@bench.example.test-google-a.com"}}],"externalIds":[{{"value":"E{n:07}","type":"organization"}}],"relations":[],"addresses":[{{"type":"work","streetAddress":"{n} Long Road","locality":"Harbour Town","postalCode":"{zip:05}","countryCode":"GB"}}],"organizations":[{{"title":"{title}","primary":true,"customType":"","department":"Team {team}","costCenter":"CC-{cc}","description":"Full time"}}],"phones":[{{"value":"+44 20 7946 {phone:04}","type":"work"}},{{"value":"+44 7700 90{phone:04}","type":"mobile"}}],"languages":[{{"languageCode":"en-GB","preference":"preferred"}}],"nonEditableAliases":["{given}.{family}.{n}@bench.example.test-google-a.com"],"customerId":"C0bench","orgUnitPath":"/Division {division}/Team {team}","isMailboxSetup":true,"isEnrolledIn2Sv":true,"isEnforcedIn2Sv":true,"includeInGlobalAddressList":true,"thumbnailPhotoUrl":"https://photos.bench.example/{h:x}","thumbnailPhotoEtag":"\"{h:x}\"","recoveryEmail":"","customSchemas":{{"Employment":{{"startDate":"2021-03-01","badge":"B{n:07}"}}}}}}"#,
        id = id(n),
        zip = n % 99_999,
        cc = n % 100,
        phone = n % 10_000,
        division = n % 4,
    )
    .unwrap();
    json
}

pub fn id(n: usize) -> String {
    format!("1{n:020}")
}

pub fn group(g: usize, members: usize) -> String {
    format!(
        r#"{{"kind":"admin#directory#group","id":"g{g:08}","etag":"\"{g}\"","email":"group-{g}@bench.example","name":"Group {g}","directMembersCount":"{members}","description":"The people of group {g}","adminCreated":true,"nonEditableAliases":["group-{g}@bench.example.test-google-a.com"]}}"#
    )
}

pub fn org_units() -> String {
    let mut units = Vec::new();
    for division in 0..4 {
        units.push(format!(
            r#"{{"kind":"admin#directory#orgUnit","name":"Division {division}","orgUnitPath":"/Division {division}","orgUnitId":"id:d{division}","parentOrgUnitPath":"/","parentOrgUnitId":"id:root"}}"#
        ));
        for team in (0..40).filter(|team| team % 4 == division) {
            units.push(format!(
                r#"{{"kind":"admin#directory#orgUnit","name":"Team {team}","orgUnitPath":"/Division {division}/Team {team}","orgUnitId":"id:t{team}","parentOrgUnitPath":"/Division {division}","parentOrgUnitId":"id:d{division}"}}"#
            ));
        }
    }
    format!(
        r#"{{"kind":"admin#directory#orgUnits","organizationUnits":[{}]}}"#,
        units.join(",")
    )
}

fn mix(n: u64) -> u64 {
    let mut x = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn pick(h: u64, shift: u32, of: usize) -> usize {
    usize::try_from((h >> shift) & 0xff).unwrap_or(0) % of
}

const GIVEN: [&str; 12] = [
    "Amara", "Bela", "Chidi", "Dina", "Emre", "Freya", "Goran", "Hana", "Ivo", "Jun", "Kaia",
    "Luis",
];
const FAMILY: [&str; 12] = [
    "Abara", "Bauer", "Costa", "Duval", "Eriksen", "Farah", "Greco", "Hansen", "Ito", "Jansen",
    "Kovac", "Lund",
];
const TITLES: [&str; 8] = [
    "Engineer", "Designer", "Analyst", "Buyer", "Planner", "Writer", "Nurse", "Driver",
];
