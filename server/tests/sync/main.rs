//! Whole runs: an emulated directory and app over HTTP, a database per test, a clock that is set.

mod accidents_directory;
mod decided;
mod first_run;
mod holds;
mod house;
mod interrupted;
mod lifecycle;
mod preview;
mod push;
mod reading;
mod tenant;
mod worker;
