//! The elements of a page as a browser would read them, and the names of their attributes.

/// Elements whose content is text up to their end tag.
const RAW: [&str; 4] = ["script", "style", "textarea", "title"];

pub fn elements(page: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        if !rest.starts_with(|first: char| first.is_ascii_alphabetic()) {
            continue;
        }
        let end = rest.find(|c: char| c.is_whitespace() || c == '>' || c == '/');
        let (name, mut inside) = rest.split_at(end.unwrap_or(rest.len()));
        let name = name.to_lowercase();
        let mut attributes = Vec::new();
        loop {
            inside = inside.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
            if let Some(after) = inside.strip_prefix('>') {
                inside = after;
                break;
            }
            if inside.is_empty() {
                break;
            }
            let end = inside.find(|c: char| c.is_whitespace() || "=>/".contains(c));
            let (attribute, after) = inside.split_at(end.unwrap_or(inside.len()).max(1));
            attributes.push(attribute.to_lowercase());
            inside = after_value(after.trim_start()).unwrap_or(after);
        }
        rest = inside;
        if RAW.contains(&name.as_str()) {
            let close = format!("</{name}");
            let at = rest.to_ascii_lowercase().find(&close);
            rest = at.map_or("", |at| &rest[at..]);
        }
        found.push((name, attributes));
    }
    found
}

/// What follows `="..."`, `='...'` or `=...`; `None` when the attribute has no value.
fn after_value(text: &str) -> Option<&str> {
    let value = text.strip_prefix('=')?.trim_start();
    for quote in ['"', '\''] {
        if let Some(quoted) = value.strip_prefix(quote) {
            return Some(quoted.split_once(quote).map_or("", |(_, after)| after));
        }
    }
    let end = value.find(|c: char| c.is_whitespace() || c == '>');
    Some(&value[end.unwrap_or(value.len())..])
}

#[test]
fn elements_and_attributes_are_read_as_browsers_do() {
    let page = "<p class=\"a > b\" hidden>x < y <!-- <i> --><BR/><script>\"<b>\"</script><a href=/x title='\"'>";
    let read: Vec<_> = elements(page)
        .into_iter()
        .map(|(name, attributes)| format!("{name}:{}", attributes.join(",")))
        .collect();
    assert_eq!(read, ["p:class,hidden", "br:", "script:", "a:href,title"]);
}
