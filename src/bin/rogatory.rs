//! The program `rogatory`: the daemon and everything that operators and officers do.

use std::process::ExitCode;

fn main() -> ExitCode {
    rogatory::cli::main(std::env::args_os())
}
