use super::{ConfigFile, FileProblem};

pub(super) fn parse(_text: &str) -> Result<ConfigFile, Vec<FileProblem>> {
    Err(vec![FileProblem {
        key: String::new(),
        line: None,
        code: "not-ready".into(),
        message: "configuration files cannot be read yet".to_owned(),
    }])
}
