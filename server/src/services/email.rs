//! Addresses that administrators sign in with.

const LONGEST: usize = 254;

/// The address in lower case, without the space around it; `None` when it is not one.
///
/// Only what is certainly wrong is refused: whether an address exists, its mail server decides.
pub fn normalize(text: &str) -> Option<String> {
    let address = text.trim().to_lowercase();
    let (name, domain) = address.rsplit_once('@')?;
    let plain = |part: &str| {
        !part.is_empty()
            && !part
                .chars()
                .any(|letter| letter.is_whitespace() || letter.is_control())
    };
    let whole = plain(name) && plain(domain) && !name.contains('@') && address.len() <= LONGEST;
    let dots = domain.split('.').all(|label| !label.is_empty());
    (whole && dots).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_kept_in_lower_case_and_nonsense_is_refused() {
        assert_eq!(
            normalize(" Ada@Example.COM ").as_deref(),
            Some("ada@example.com")
        );
        assert_eq!(
            normalize("root@localhost").as_deref(),
            Some("root@localhost")
        );
        for bad in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "a b@example.com",
            "a@b@c",
            "a@b..c",
        ] {
            assert_eq!(normalize(bad), None, "{bad:?}");
        }
    }
}
