//! Whole runs: an emulated directory and app over HTTP, a database per test, a clock that is set.

mod first_run;
mod house;
mod interrupted;
mod lifecycle;
mod worker;
