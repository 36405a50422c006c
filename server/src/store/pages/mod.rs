//! Pages of longer lists as the console turns them: counted, filtered, a page at a time.

pub mod accounts;
pub mod groups;
pub mod people;
pub mod runs;

/// Which part of a list is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    pub limit: i64,
    pub offset: i64,
}

/// A part of a list and how long the whole is.
#[derive(Debug, Clone)]
pub struct Page<T> {
    pub rows: Vec<T>,
    pub total: i64,
}
