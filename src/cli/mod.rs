//! The command line: one file for each verb, a client of [`crate::api`] or offline.
//!
//! Exit codes stand in [`failure::Failure`]. What others wrote reaches a terminal only with its control characters
//! spelled out.

pub mod audit;
pub mod dossier;
pub mod failure;
pub mod init;

mod approvals;
mod call;
mod case;
mod cert;
mod check;
mod clock;
mod config;
mod consent;
mod demo;
mod fetcher;
mod folder;
mod fsck;
mod global;
mod help;
mod hint;
mod input;
mod interrupt;
mod log;
mod package;
mod peer;
mod policy;
mod progress;
mod receipt;
mod remote;
mod sandbox;
mod serve;
mod status;
mod storage;
mod terminal;
mod text;
mod transfer;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::cli::call::Call;
use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::cli::terminal::{Reader, Talk, Terminal};

const EXAMPLES: &str = "\
Examples:
  rogatory demo --once
  rogatory init --home ./ie --authority mla.example.ie --name 'Central Authority' --country IE --listen 127.0.0.1:7443";

/// Exchanges evidence packages between the central authorities of states: encrypted, bound to their purpose, receipted.
#[derive(Debug, Parser)]
#[command(name = "rogatory", version, after_help = EXAMPLES, disable_help_subcommand = true, max_term_width = 110)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::InitArgs),
    /// Run the daemon, until SIGTERM or Ctrl-C
    #[command(after_help = serve::EXAMPLES)]
    Serve,
    /// Run the fetcher: resolves peers' names for a daemon without a network; has no keys
    #[command(after_help = fetcher::EXAMPLES)]
    Fetcher(fetcher::FetcherArgs),
    #[command(subcommand)]
    Check(check::CheckCommand),
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// How the daemon is, problems first; exit code 0 while it serves, 10 while it does not
    #[command(after_help = status::EXAMPLES)]
    Status,
    #[command(subcommand)]
    Peer(peer::PeerCommand),
    #[command(subcommand)]
    Package(package::PackageCommand),
    #[command(subcommand)]
    Case(case::CaseCommand),
    #[command(subcommand)]
    Approvals(approvals::ApprovalsCommand),
    #[command(subcommand)]
    Consent(consent::ConsentCommand),
    #[command(subcommand)]
    Transfer(transfer::TransferCommand),
    #[command(subcommand)]
    Receipt(receipt::ReceiptCommand),
    #[command(subcommand)]
    Log(log::LogCommand),
    #[command(subcommand)]
    Clock(clock::ClockCommand),
    #[command(subcommand)]
    Cert(cert::CertCommand),
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    Fsck(fsck::FsckArgs),
    /// Show the whole of it on this machine: two authorities, a package cut off and resumed, receipts checked with
    /// openssl
    #[command(after_help = demo::EXAMPLES)]
    Demo(demo::DemoArgs),
    Help(help::HelpArgs),
}

/// Runs one command line and gives the exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<_> = args.into_iter().collect();
    let plain = args.iter().any(|arg| arg == "--no-color")
        || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let json = args.iter().any(|arg| arg == "--json");
    let reader = if json {
        Reader::Machines
    } else {
        Reader::People
    };
    let cli = match parse(args, plain) {
        Ok(cli) => cli,
        Err(error) => return not_parsed(&error, Terminal::new(reader, Talk::Normal, plain)),
    };
    let talk = match (cli.global.quiet, cli.global.verbose) {
        (true, _) => Talk::Quiet,
        (false, true) => Talk::Verbose,
        (false, false) => Talk::Normal,
    };
    let terminal = Terminal::new(reader, talk, plain);
    hint::remember([
        ("config", cli.global.config.as_deref()),
        ("home", cli.global.home.as_deref()),
        ("socket", cli.global.socket.as_deref()),
    ]);
    match run(&cli, terminal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal.failure(&failure);
            ExitCode::from(failure.code)
        }
    }
}

fn parse(args: Vec<OsString>, plain: bool) -> Result<Cli, clap::Error> {
    let color = if plain {
        ColorChoice::Never
    } else {
        ColorChoice::Auto
    };
    let matches = Cli::command().color(color).try_get_matches_from(args)?;
    Cli::from_arg_matches(&matches)
}

/// Help and version are no failure; anything else is exit code 2.
fn not_parsed(error: &clap::Error, terminal: Terminal) -> ExitCode {
    let asked = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    if terminal.json() && !asked {
        let text = error.to_string();
        let message = text.trim_start_matches("error: ").trim_end();
        terminal.failure(&Failure::usage("usage", message));
    } else {
        // A closed stream leaves nothing to say.
        drop(error.print());
    }
    ExitCode::from(if asked { 0 } else { 2 })
}

fn run(cli: &Cli, terminal: Terminal) -> Result<(), Failure> {
    let global = &cli.global;
    let call = || Call::new(global, terminal);
    let home = || remote::home(global);
    match &cli.command {
        Command::Init(args) => init::run(args, &home(), terminal),
        Command::Check(command) => command.run(&home(), remote::environment(), terminal),
        Command::Config(command) => command.run(&home(), remote::environment(), terminal),
        Command::Serve => serve::run(global),
        Command::Fetcher(args) => args.run(),
        Command::Status => status::run(&call()?),
        Command::Peer(command) => command.run(&call()?),
        Command::Package(command) => command.run(global, terminal),
        Command::Case(command) => command.run(&call()?),
        Command::Approvals(command) => command.run(&call()?),
        Command::Consent(command) => command.run(&call()?),
        Command::Transfer(command) => command.run(&call()?),
        Command::Receipt(command) => command.run(&call()?),
        Command::Log(command) => command.run(&call()?),
        Command::Clock(command) => command.run(&call()?),
        Command::Cert(command) => command.run(&call()?),
        Command::Policy(command) => command.run(global, terminal),
        Command::Fsck(args) => args.run(global, terminal),
        Command::Demo(args) => args.run(terminal),
        Command::Help(args) => args.run(Cli::command(), terminal),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::global::timeout;

    fn every_command(
        command: &clap::Command,
        path: &str,
        look: &mut impl FnMut(&str, &clap::Command),
    ) {
        look(path, command);
        for inner in command.get_subcommands() {
            every_command(inner, &format!("{path} {}", inner.get_name()), look);
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_help_ends_in_two_examples() {
        every_command(&Cli::command(), "rogatory", &mut |path, command| {
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            let mut lines = help.lines();
            assert_eq!(lines.next(), Some("Examples:"), "{path}");
            let examples: Vec<_> = lines.collect();
            assert_eq!(examples.len(), 2, "{path}");
            for example in examples {
                assert!(example.starts_with("  "), "{path}: {example}");
                assert!(example.contains(path), "{path}: {example}");
            }
            assert!(command.get_about().is_some(), "{path} says what it does");
        });
    }

    #[test]
    fn examples_parse() {
        every_command(&Cli::command(), "rogatory", &mut |path, command| {
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            for example in help.lines().skip(1) {
                let mut words = words(example);
                // Variables of the environment may stand before the program.
                words.retain(|word| !word.to_string_lossy().starts_with("ROGATORY__"));
                if let Err(error) = parse(words, true) {
                    assert_eq!(
                        error.kind(),
                        ErrorKind::DisplayHelp,
                        "{path}: {example}: {error}"
                    );
                }
            }
        });
    }

    /// As a shell splits a line with single quotes.
    fn words(line: &str) -> Vec<OsString> {
        let parts = line.trim().split('\'').enumerate();
        let mut words = Vec::new();
        for (at, part) in parts {
            if at % 2 == 1 {
                words.push(OsString::from(part));
            } else {
                words.extend(part.split_whitespace().map(OsString::from));
            }
        }
        words
    }

    #[test]
    fn times_are_read() {
        for (text, seconds) in [
            ("30s", 30),
            ("5 min", 300),
            ("1h30m", 5_400),
            ("7", 7),
            ("0", 0),
        ] {
            assert_eq!(timeout(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "soon", "-3s", "5 parsecs"] {
            assert!(timeout(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn global_options_stand_anywhere() {
        let cli = parse(
            words("rogatory status --json --home ./ie --timeout 3s"),
            true,
        )
        .unwrap();
        assert!(cli.global.json);
        assert_eq!(cli.global.timeout, Some(Duration::from_secs(3)));
        assert!(parse(words("rogatory status -q -v"), true).is_err());
        assert!(parse(words("rogatory status extra"), true).is_err());
    }
}
