//! `rollcall`: the console, the worker and the tools of an operator in one binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    server::cli::main()
}
