//! Takes from this process every right that unpacking does not need, before the first byte of a package is parsed.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus, Scope, make_bitflags,
};
use rustix::process::{Resource, Rlimit};

/// How much of the sandbox the kernel gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sandbox {
    /// All of it.
    Full,
    /// The extent to which this kernel supports it.
    Partial,
    /// None: the kernel has no Landlock, or it is switched off.
    None,
}

/// Why the sandbox could not even be tried.
#[derive(Debug, thiserror::Error)]
pub enum SandboxFault {
    /// The folder above the target cannot be opened.
    #[error("the folder {} cannot be used: {why}", .path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The kernel refused in a way that is not "this is too old".
    #[error("the sandbox cannot be set up: {0}")]
    Kernel(String),
}

/// The newest kernel interface whose rights are asked for; an older kernel gives what it has.
const KERNEL: ABI = ABI::V6;

/// Leaves the calling thread and the threads it starts only the right to make, write and remove regular files and
/// folders beneath `out_parent`; what is open stays usable. No links, devices, programs, TCP, no signals to others, no
/// core dump.
///
/// Best effort: on a kernel without Landlock it says so and the caller goes on. It is called before other threads are
/// started.
pub fn sandbox(out_parent: &Path) -> Result<Sandbox, SandboxFault> {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    rustix::process::setrlimit(Resource::Core, none).map_err(|e| kernel(&e))?;
    let folder = if out_parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        out_parent
    };
    let beneath = PathFd::new(folder).map_err(|e| SandboxFault::Folder {
        path: folder.to_owned(),
        why: match std::error::Error::source(&e) {
            Some(why) => why.to_string(),
            None => e.to_string(),
        },
    })?;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(KERNEL))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(KERNEL)))
        .and_then(|rules| rules.scope(Scope::from_all(KERNEL)))
        .and_then(Ruleset::create)
        .and_then(|rules| rules.add_rule(PathBeneath::new(beneath, unpacking())))
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(|e| kernel(&e))?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Sandbox::Full,
        RulesetStatus::PartiallyEnforced => Sandbox::Partial,
        RulesetStatus::NotEnforced => Sandbox::None,
    })
}

fn unpacking() -> BitFlags<AccessFs> {
    make_bitflags!(AccessFs::{
        ReadDir | ReadFile | WriteFile | Truncate | MakeDir | MakeReg | RemoveDir | RemoveFile
    })
}

fn kernel<E: ToString + ?Sized>(error: &E) -> SandboxFault {
    SandboxFault::Kernel(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_the_target_can_be_written() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (inside, outside) = (inside.path().to_owned(), outside.path().to_owned());
        let found = std::thread::spawn(move || {
            let status = sandbox(&inside).unwrap();
            fs::create_dir(inside.join("folder")).unwrap();
            fs::write(inside.join("folder/file"), b"x").unwrap();
            fs::rename(inside.join("folder"), inside.join("other")).unwrap();
            fs::remove_dir_all(inside.join("other")).unwrap();
            (
                status,
                fs::write(outside.join("file"), b"x").is_err(),
                fs::read("/etc/hostname").is_err(),
                symlink("/etc", inside.join("link")).is_err(),
                std::process::Command::new("/bin/true").status().is_err(),
            )
        });
        let (status, written, read, linked, ran) = found.join().unwrap();
        if status == Sandbox::Full {
            assert!(
                written && read && linked && ran,
                "{written} {read} {linked} {ran}"
            );
        }
    }
}
