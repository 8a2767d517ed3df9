//! How an opening ends whose package could not be unpacked: whose fault that is, the daemon finds out for itself.

use crate::api::types::{Examination, Opening};
use crate::cli::call::Call;
use crate::cli::failure::Failure;
use crate::seal::UnpackError;

/// The advice for a package that is not what its sender signed.
const KEPT: &str = "nothing was kept; the sender is told by a signed statement, keep the package as evidence of it";

/// Why this opening has ended. What the sender may be to blame for is reported, and the daemon's own finding counts; a
/// report that it does not confirm states nothing.
pub(super) fn settled(call: &Call, opening: &Opening, fault: &UnpackError) -> Failure {
    match code(fault) {
        Some(code) => found(fault, examination(call, opening, code)),
        None => local(fault),
    }
}

/// The code to report. A plaintext that breaks off may have done so because its sealed bytes do not decrypt.
fn code(fault: &UnpackError) -> Option<&'static str> {
    match fault {
        UnpackError::Content(fault) => Some(fault.code()),
        UnpackError::Read(_) => Some("payload"),
        UnpackError::Out(_)
        | UnpackError::Exists(_)
        | UnpackError::PartialExists(_)
        | UnpackError::PartialBusy(_)
        | UnpackError::NoSpace { .. }
        | UnpackError::Write { .. }
        | UnpackError::NoSuchItem(_) => None,
    }
}

/// Reports and waits for the end of the daemon's examination.
fn examination(call: &Call, opening: &Opening, code: &str) -> Result<Examination, Failure> {
    let client = call.remote.client();
    let mut said = false;
    loop {
        let report = client.report_mismatch(&opening.opening, code);
        let examined = call.remote.call_unlimited(report)?;
        if examined != Examination::Running {
            return Ok(examined);
        }
        if !said {
            call.terminal.note("the package is not as it must be; the daemon looks for itself, which takes as long as opening and goes on without this command");
            said = true;
        }
    }
}

/// The failure that follows from what was found here and from what the daemon has found.
fn found(fault: &UnpackError, examined: Result<Examination, Failure>) -> Failure {
    let broken_off = matches!(fault, UnpackError::Read(_));
    match examined {
        Ok(Examination::Mismatch { text, .. }) => {
            let text = if broken_off { text } else { fault.to_string() };
            Failure::verification("content-mismatch", format!("{text}: content mismatch"))
                .next(KEPT)
        }
        Ok(Examination::Altered { text }) => Failure::verification("payload-altered", text).next(
            "nothing was kept; restore the payload from a backup, and look at the disk: rogatory package verify ID",
        ),
        Ok(Examination::Unreadable { text }) => {
            Failure::storage("payload-unreadable", format!("{fault}; the daemon says: {text}"))
                .next("nothing was kept or stated; look at the daemon's log and disk, then open it again")
        }
        Ok(Examination::Good | Examination::Running) if broken_off => {
            Failure::temporary("broken-off", fault.to_string())
                .next("nothing was kept; the package itself is good: open it again")
        }
        Ok(Examination::Good | Examination::Running) => {
            let text = format!("{fault}; but the daemon finds the package as its sender signed it");
            Failure::failed("not-confirmed", text)
                .next("nothing was kept or stated; open it again, and look at this machine's memory and disk")
        }
        Err(failure) if broken_off => failure,
        Err(failure) => {
            let text = format!("{fault}: content mismatch; but it is not stated: {failure}");
            Failure::verification("content-mismatch", text)
                .next("nothing was kept; open it again, so that the daemon looks for itself and the sender is told")
        }
    }
}

/// The failure for a fault that has nothing to do with the package.
pub(super) fn local(fault: &UnpackError) -> Failure {
    let text = fault.to_string();
    match fault {
        UnpackError::NoSpace { .. } => Failure::storage("disk-full", text),
        UnpackError::NoSuchItem(_) => Failure::absent("no-such-item", text),
        UnpackError::Out(_) | UnpackError::Exists(_) | UnpackError::PartialExists(_) => {
            Failure::usage("target-exists", text)
        }
        UnpackError::PartialBusy(_) => Failure::temporary("target-busy", text)
            .next("wait until it has ended, or name another folder"),
        UnpackError::Write { .. } | UnpackError::Read(_) | UnpackError::Content(_) => {
            Failure::failed("not-unpacked", text)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;

    use super::*;
    use crate::base::Digest;
    use crate::package::ContentFault;

    fn cut() -> UnpackError {
        UnpackError::Read(io::ErrorKind::UnexpectedEof.into())
    }

    fn mismatch() -> Examination {
        Examination::Mismatch {
            code: "tar".to_owned(),
            text: "the archive is cut off".to_owned(),
            receipt: Digest::of(b""),
        }
    }

    #[test]
    fn faults_of_this_side_have_their_exit_codes() {
        for (fault, code) in [
            (
                UnpackError::NoSpace {
                    path: "x".to_owned(),
                },
                11,
            ),
            (UnpackError::NoSuchItem("x".to_owned()), 8),
            (UnpackError::Exists(PathBuf::from("x")), 2),
            (
                UnpackError::Write {
                    path: "x".to_owned(),
                    source: io::ErrorKind::PermissionDenied.into(),
                },
                1,
            ),
        ] {
            assert_eq!(super::code(&fault), None, "{fault}");
            assert_eq!(local(&fault).code, code, "{fault}");
        }
    }

    type Row = (
        fn() -> UnpackError,
        Result<Examination, Failure>,
        u8,
        &'static str,
    );

    #[test]
    fn what_the_daemon_finds_decides() {
        let text = || "why".to_owned();
        let item: fn() -> UnpackError = || ContentFault::Item("x".to_owned()).into();
        let table: [Row; 10] = [
            (item, Ok(mismatch()), 7, "content-mismatch"),
            (cut, Ok(mismatch()), 7, "content-mismatch"),
            (
                item,
                Ok(Examination::Altered { text: text() }),
                7,
                "payload-altered",
            ),
            (
                cut,
                Ok(Examination::Altered { text: text() }),
                7,
                "payload-altered",
            ),
            (
                item,
                Ok(Examination::Unreadable { text: text() }),
                11,
                "payload-unreadable",
            ),
            (
                cut,
                Ok(Examination::Unreadable { text: text() }),
                11,
                "payload-unreadable",
            ),
            (item, Ok(Examination::Good), 1, "not-confirmed"),
            (cut, Ok(Examination::Good), 5, "broken-off"),
            (
                item,
                Err(Failure::usage("no-age-identity", "none")),
                7,
                "content-mismatch",
            ),
            (
                cut,
                Err(Failure::not_running("daemon-stopped", "gone")),
                10,
                "daemon-stopped",
            ),
        ];
        for (fault, examined, code, error) in table {
            let failure = found(&fault(), examined);
            assert_eq!((failure.code, failure.error.as_str()), (code, error));
        }
    }
}
