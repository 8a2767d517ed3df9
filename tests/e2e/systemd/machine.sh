# shellcheck shell=bash
# Machines with a real systemd: a Debian root that is made once and kept, booted by systemd-nspawn, each with an overlay of its
# own. Sourced after lib.sh, as root.

SUITE=bookworm
PACKAGES=systemd,systemd-sysv,dbus,libnss-extrausers
KEPT=${CARGO_TARGET_DIR:-$ROOT/target}/machine/$SUITE
declare -A LEADER

# can_boot: whether this system can, else the script is skipped
can_boot() {
    local tool
    as_root "boot a machine"
    for tool in mmdebstrap systemd-nspawn nsenter ip; do
        command -v "$tool" >/dev/null || skip "$tool is not here: apt-get install mmdebstrap systemd-container iproute2"
    done
    mkdir "$WORK/try"
    unshare --mount --pid --uts --ipc --net --fork mount -t tmpfs tmpfs "$WORK/try" 2>/dev/null ||
        skip "this system allows no namespaces"
}

# The root, made anew if it is not there or is of other packages.
kept_root() {
    local began
    if [ "$(cat "$KEPT/packages" 2>/dev/null)" != "$PACKAGES" ]; then
        began=$(now_ms)
        rm -rf "$KEPT" "$KEPT.partial"
        mkdir -p "$KEPT.partial"
        mmdebstrap --quiet --variant=minbase --include="$PACKAGES" "$SUITE" "$KEPT.partial/root" \
            >"$WORK/mmdebstrap.err" 2>&1 || fail "mmdebstrap makes no Debian $SUITE"
        echo "$PACKAGES" >"$KEPT.partial/packages"
        mv "$KEPT.partial" "$KEPT"
        ok "a Debian $SUITE in $KEPT, made in $((($(now_ms) - began) / 1000)) s"
    else
        ok "a Debian $SUITE in $KEPT, kept from before"
    fi
    cp "$BIN" "$WORK/rogatory"
    mkdir "$WORK/trial"
    mount --bind "$WORK" "$KEPT/root/mnt"
    local code=0
    chroot "$KEPT/root" /mnt/rogatory --version >/dev/null 2>&1 || code=$?
    umount "$KEPT/root/mnt"
    [ "$code" -eq 0 ] || skip "the program was built for a newer C library than that of Debian $SUITE"
}

# own_cgroup NAME: this shell moves into a control group of its own, so that the machine's is no other's
own_cgroup() {
    local id names path base
    while IFS=: read -r id names path; do
        case $id:$names in
            0:) base=/sys/fs/cgroup/unified && [ -d $base ] || base=/sys/fs/cgroup ;;
            *:name=systemd) base=/sys/fs/cgroup/systemd ;;
            *) continue ;;
        esac
        [ -d "$base" ] || continue
        mkdir -p "$base$path/$1"
        echo "$BASHPID" >"$base$path/$1/cgroup.procs"
    done </proc/self/cgroup
}

# boot NAME: starts it, with nothing in it but Debian
boot() {
    local name=$1 root=$WORK/$1.root
    mkdir "$root" "$WORK/$name.upper" "$WORK/$name.work"
    mount -t overlay "rogatory-$name" "$root" -o "lowerdir=$KEPT/root,upperdir=$WORK/$name.upper,workdir=$WORK/$name.work"
    MOUNTS+=("$root")
    (
        own_cgroup "rogatory-$$-$name"
        # What the daemon confines itself with is allowed, as on a machine of iron.
        exec systemd-nspawn --quiet --boot --private-network --register=no --keep-unit --machine="$name-$$" --hostname="$name" --console=pipe \
            --system-call-filter='landlock_create_ruleset landlock_add_rule landlock_restrict_self' \
            --directory="$root" >"$WORK/$name.console.log" 2>&1
    ) &
    PID[$name.machine]=$!
    within 60 "$name is started" leader "$name"
    LEADER[$name]=$(leader "$name")
    within 120 "$name has booted systemd $(in_ "$name" systemctl --version | awk 'NR == 1 { print $2 }')" \
        in_ "$name" systemctl is-active multi-user.target
    # So that a failure is seen with what the units said.
    in_ "$name" journalctl --follow --lines=all --output=short-iso --no-hostname --unit=rogatoryd.service \
        --unit=rogatory-fetcher.service >"$WORK/$name.journal.log" 2>&1 &
    PID[$name.journal]=$!
}

# leader NAME: the process that is the first one of a machine, once it is systemd
leader() {
    local pid
    for pid in $(pgrep -P "${PID[$1.machine]}"); do
        if [ "$(awk '/^NSpid:/ { print $NF }' "/proc/$pid/status")" = 1 ] && [ "$(cat "/proc/$pid/comm")" = systemd ]; then
            echo "$pid"
            return
        fi
    done
    return 1
}

# in_ NAME COMMAND…: as root in the machine
in_() {
    local name=$1
    shift
    nsenter --target "${LEADER[$name]}" --mount --uts --ipc --net --pid --root -- \
        env --chdir=/ -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root "$@"
}

# as_ NAME ACCOUNT COMMAND…: as this account, with the groups that the name service gives it
as_() {
    local name=$1 account=$2
    shift 2
    in_ "$name" setpriv --reuid="$account" --regid="$(in_ "$name" id -g "$account")" --init-groups -- "$@"
}

# join ONE OTHER ADDRESS ADDRESS: a line between two machines
join_() {
    ip link add "$1-$2" netns "${LEADER[$1]}" type veth peer name "$2-$1" netns "${LEADER[$2]}"
    nsenter --target "${LEADER[$1]}" --net ip address add "$3/24" dev "$1-$2"
    nsenter --target "${LEADER[$2]}" --net ip address add "$4/24" dev "$2-$1"
    nsenter --target "${LEADER[$1]}" --net ip link set "$1-$2" up
    nsenter --target "${LEADER[$2]}" --net ip link set "$2-$1" up
}

# block HEADING: the first fenced block of commands below this heading of docs/operations.md
block() {
    awk -v heading="$1" '$0 == heading { found = 1 } found && /^```$/ && inside { exit }
        inside { print } found && /^```sh$/ { inside = 1 }' "$ROOT/docs/operations.md"
}

# show NAME PROPERTY: of rogatoryd.service there
show() {
    in_ "$1" systemctl show --property="$2" --value rogatoryd.service
}

# at_end: ends the machines, and takes away what they leave behind
at_end() {
    local group groups
    mapfile -t groups < <(find /sys/fs/cgroup -depth -type d -path "*/rogatory-$$-*")
    for group in "${groups[@]}"; do
        xargs --no-run-if-empty kill -KILL <"$group/cgroup.procs" 2>/dev/null || true
    done
    for group in "${groups[@]}"; do
        patient 10 rmdir "$group" || true
    done
    rm -rf /run/systemd/nspawn/propagate/*-$$
}
