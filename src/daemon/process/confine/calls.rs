//! The calls that are refused.
//!
//! A list of what is refused, not of what is allowed: which calls a C library makes for the same function changes from
//! version to version, and a call that is missing in a list of allowed ones would stop a daemon years later. The list
//! of allowed calls is in the unit (`SystemCallFilter=@system-service`), where an administrator can mend it. Refused
//! calls fail with `EPERM` rather than end the process, so that a library that only tries something goes on without.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::daemon::process::confine::Rights;

/// Why the calls are not refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallFault {
    /// This program knows no numbers of calls for this kind of machine.
    #[error("not known for machines of this kind ({})", std::env::consts::ARCH)]
    Machine,
    /// The list does not make a program for the kernel.
    #[error("the filter cannot be built: {0}")]
    Filter(#[from] seccompiler::BackendError),
    /// The kernel does not take it.
    #[error("the kernel does not take the filter: {0}")]
    Kernel(#[from] seccompiler::Error),
}

/// Refused whatever their arguments: they run programs, look into or stop other processes, change the machine, load
/// into the kernel, or open a way around what is refused.
const REFUSED: &[c_long] = &[
    // Programs, other processes.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_kcmp,
    // Mounts, roots, namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_quotactl,
    // The kernel.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_fanotify_init,
    libc::SYS_syslog,
    // The machine.
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_vhangup,
    libc::SYS_personality,
    // Who it is.
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
    // Devices, fifos, symbolic links: the state has regular files and folders only. What is passed on is a second name
    // of a payload.
    libc::SYS_mknodat,
    libc::SYS_symlinkat,
];

/// The calls that only this kind of machine has.
#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[c_long] = &[
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
    libc::SYS_mknod,
    libc::SYS_symlink,
    libc::SYS_link,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[c_long] = &[];

/// The same kernel answers on x86-64 to a second set of numbers, with this bit; those from 512 to 547 are its own.
#[cfg(target_arch = "x86_64")]
const X32: c_long = 0x4000_0000;

/// Refuses the calls of the list, other processes, and sockets that these rights do not have; on this thread and those
/// that it starts.
pub(super) fn refuse(rights: &Rights) -> Result<(), CallFault> {
    let eperm = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let mut rules: BTreeMap<c_long, Vec<SeccompRule>> = BTreeMap::new();
    for call in REFUSED.iter().chain(REFUSED_HERE) {
        rules.insert(*call, Vec::new());
    }
    #[cfg(target_arch = "x86_64")]
    for call in REFUSED.iter().chain(REFUSED_HERE).copied().chain(512..=547) {
        rules.insert(call | X32, Vec::new());
    }
    let thread = u64::from(libc::CLONE_THREAD.cast_unsigned());
    rules.insert(
        libc::SYS_clone,
        vec![SeccompRule::new(vec![masked(0, thread, 0)?])?],
    );
    rules.insert(libc::SYS_socket, sockets(rights)?);
    // The last one put in place is asked first, and the stricter answer counts. What clone3 is asked for stands in
    // memory, where a filter cannot look; told that it does not exist, C libraries use clone.
    let enosys = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    let clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let (program, second) = (program(rules, eperm)?, program(clone3, enosys)?);
    seccompiler::apply_filter(&program)?;
    Ok(seccompiler::apply_filter(&second)?)
}

/// Refuses all sockets but Unix sockets, on every thread.
pub(super) fn refuse_network() -> Result<(), CallFault> {
    let other = SeccompRule::new(vec![differs(0, libc::AF_UNIX)?])?;
    let rules = BTreeMap::from([(libc::SYS_socket, vec![other])]);
    let program = program(rules, SeccompAction::Errno(libc::EPERM.cast_unsigned()))?;
    Ok(seccompiler::apply_filter_all_threads(&program)?)
}

/// The sockets that are refused: families other than Unix, IP and the one by which the C library asks for the
/// machine's addresses; raw ones; TCP, and UDP, where there is no right to them.
fn sockets(rights: &Rights) -> Result<Vec<SeccompRule>, CallFault> {
    let mut families = vec![differs(0, libc::AF_UNIX)?];
    if rights.udp || rights.names {
        families.push(differs(0, libc::AF_INET)?);
        families.push(differs(0, libc::AF_INET6)?);
    }
    if rights.names {
        families.push(differs(0, libc::AF_NETLINK)?);
    }
    let mut rules = vec![SeccompRule::new(families)?];
    for family in [libc::AF_INET, libc::AF_INET6] {
        let mut kinds = vec![libc::SOCK_RAW];
        if !rights.names {
            kinds.push(libc::SOCK_STREAM);
        }
        for kind in kinds {
            let conditions = vec![
                equals(0, family)?,
                masked(1, 0xf, u64::from(kind.cast_unsigned()))?,
            ];
            rules.push(SeccompRule::new(conditions)?);
        }
    }
    Ok(rules)
}

fn differs(at: u8, value: i32) -> Result<SeccompCondition, CallFault> {
    condition(at, SeccompCmpOp::Ne, u64::from(value.cast_unsigned()))
}

fn equals(at: u8, value: i32) -> Result<SeccompCondition, CallFault> {
    condition(at, SeccompCmpOp::Eq, u64::from(value.cast_unsigned()))
}

fn masked(at: u8, mask: u64, value: u64) -> Result<SeccompCondition, CallFault> {
    condition(at, SeccompCmpOp::MaskedEq(mask), value)
}

fn condition(at: u8, how: SeccompCmpOp, value: u64) -> Result<SeccompCondition, CallFault> {
    Ok(SeccompCondition::new(
        at,
        SeccompCmpArgLen::Dword,
        how,
        value,
    )?)
}

fn program(
    rules: BTreeMap<c_long, Vec<SeccompRule>>,
    action: SeccompAction,
) -> Result<BpfProgram, CallFault> {
    let machine = TargetArch::try_from(std::env::consts::ARCH).map_err(|_| CallFault::Machine)?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, machine)?;
    Ok(BpfProgram::try_from(filter)?)
}
