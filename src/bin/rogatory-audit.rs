//! The program `rogatory-audit`: checks what was exported, without a daemon and without a network.

use std::process::ExitCode;

fn main() -> ExitCode {
    rogatory::cli::audit::main(std::env::args_os())
}
