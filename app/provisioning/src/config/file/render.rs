use super::ConfigFile;

pub(super) fn render(_file: &ConfigFile) -> String {
    String::new()
}
