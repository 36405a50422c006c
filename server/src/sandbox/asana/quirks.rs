//! How the app deviates from what it should do. All off is Asana as it is
//! documented; the others were seen in SCIM services at work.

use serde::{Deserialize, Serialize};

/// Switches for the app's behaviour.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// PATCH answers 501.
    pub patch_unsupported: bool,
    /// PATCH answers 204 without a body.
    pub patch_no_content: bool,
    /// PATCH answers a page of HTML with this status.
    pub patch_answers_html: Option<u16>,
    /// PATCH answers yes to operations with a path and does nothing.
    pub patch_ignores_paths: bool,
    /// PATCH answers yes and leaves `active` as it is.
    pub patch_keeps_active: bool,
    /// PUT leaves `active` as it is, too.
    pub put_keeps_active: bool,
    /// "add" replaces a list instead of adding to it.
    pub add_replaces: bool,
    /// Answers do not show `active`, although it can be read.
    pub writes_hide_active: bool,
    /// PUT answers 404.
    pub put_not_found: bool,
    /// The enterprise extension is dropped without a word.
    pub drops_enterprise: bool,
    /// These attributes are dropped too.
    pub drops: Vec<String>,
    /// Attributes that Asana does not know are kept as well.
    pub keeps_everything: bool,
    /// Attributes that it does not know are refused with 400.
    pub refuses_unknown: bool,
    /// `filter` is ignored: everybody is listed.
    pub filter_ignored: bool,
    /// `filter` compares with case, while a second account may not differ by case alone.
    pub filter_case_sensitive: bool,
    /// `filter` is decoded once more than it was encoded, so that a plus is read as a blank.
    pub filter_decoded_twice: bool,
    /// Any `filter` fails with this status.
    pub filter_fails: Option<u16>,
    /// Pages are never larger, whatever `count` says.
    pub page_cap: Option<usize>,
    /// `startIndex` and `count` are ignored.
    pub paging_ignored: bool,
    /// `startIndex` beyond the end starts again.
    pub start_index_repeats: bool,
    /// Any `count` is a 500.
    pub count_refused: bool,
    /// Lists do not say how many there are.
    pub no_total_results: bool,
    /// Errors are pages of HTML.
    pub html_errors: bool,
    /// 409 comes without `scimType`.
    pub conflict_without_type: bool,
    /// DELETE only deactivates; the name stays taken.
    pub delete_deactivates: bool,
    /// DELETE of what was deleted before fails with 500.
    pub second_delete_fails: bool,
    /// No account is made beyond so many.
    pub seats: Option<usize>,
    /// `active: true` does not bring a deactivated account back.
    pub no_reactivation: bool,
    /// The userName is the id, also after it has changed.
    pub name_is_id: bool,
    /// There is no `/ServiceProviderConfig`, `/ResourceTypes` or `/Schemas`.
    pub no_discovery: bool,
    /// This many of a hundred writes fail with 500 before they do anything.
    pub random_failures: u8,
    /// userNames of any domain are taken.
    pub any_domain: bool,
}
