//! The table: each figure, what it is held against, and the ratio.

use std::fmt::Write as _;

#[derive(Debug, Default)]
pub struct Table {
    lines: String,
}

impl Table {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn heading(&mut self, name: &str) {
        let title = format!(
            "\n### {name}\n\n| what | measured | held against | ratio |\n|---|---|---|---|\n"
        );
        print!("{title}");
        self.lines.push_str(&title);
    }

    pub fn row(&mut self, what: &str, measured: &str, against: &str, ratio: Option<f64>) {
        let mut line = String::new();
        let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.3}"));
        writeln!(line, "| {what} | {measured} | {against} | {ratio} |").unwrap();
        print!("{line}");
        self.lines.push_str(&line);
    }

    pub fn write(&self, file: &str) {
        std::fs::write(file, self.lines.trim_start()).unwrap();
        println!("\nwritten to {file}");
    }
}
