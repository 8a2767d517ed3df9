# shellcheck shell=bash
# What the fault scripts share beyond ../lib.sh: root, ext4 on loop devices, pairs of authorities without daemons.

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$WORK
LOOPS=()
export BIN WORK
export ROGATORY__LIMITS__RESERVE=${RESERVE:-8 MiB} # the disks here are small

# Mounting, loop devices and tracing need root.
need_root() {
    as_root "mount file systems and trace daemons"
    cc -O2 -Wall -Wextra -Werror -fPIC -shared -o "$TOP/point.so" "$HERE/point.c" -ldl || fail "point.c cannot be compiled"
}

# ext4_disk FOLDER MIB [MKFS OPTIONS…]: makes a file system of this size and mounts it on the folder; DISK is its device
ext4_disk() {
    local folder=$1 mib=$2 image=$1.img
    shift 2
    mkdir -p "$folder"
    truncate -s "${mib}M" "$image"
    mkfs.ext4 -q -m 0 "$@" "$image" || fail "mkfs.ext4 fails"
    DISK=$(losetup --find --show "$image") || fail "no loop device can be set up: this needs root and a kernel with loop devices"
    LOOPS+=("$DISK")
    mount -t ext4 "$DISK" "$folder" || fail "ext4 cannot be mounted from $DISK: this needs root and a kernel with ext4"
    MOUNTS+=("$folder")
}

# pair_in FOLDER: two authorities that know each other, their daemons ended again
pair_in() {
    WORK=$1
    mkdir -p "$WORK"
    [ ! -e "$TOP/point.so" ] || cp "$TOP/point.so" "$WORK/point.so"
    two_authorities >"$WORK/pairing.log"
    stop ie >>"$WORK/pairing.log"
    stop de >>"$WORK/pairing.log"
    WORK=$TOP
}

# campaign FOLDER PROGRAM ARGUMENTS…: runs one of the programs beside this file on the pair in this folder
campaign() {
    local folder=$1 program=$2
    shift 2
    if ! WORK=$folder python3 "$HERE/$program" "$@"; then
        for name in ie de; do
            { echo "---- the end of $folder/$name.log" && tail -n 12 "$folder/$name.log"; } >&2
        done
        return 1
    fi
}

# Called by `finish`: nothing that was started stays.
at_end() {
    local pid file
    # First the campaigns, which would start daemons again.
    for file in "$TOP"/campaign.pid "$TOP"/*/campaign.pid; do
        [ ! -e "$file" ] || { read -r pid <"$file" && grep -qs "$HERE" "/proc/$pid/cmdline" && kill -KILL "$pid"; } || true
    done
    for file in "$TOP"/pids "$TOP"/*/pids; do
        [ -e "$file" ] || continue
        while read -r pid; do
            # Only if it is still one of ours.
            [[ $(readlink "/proc/$pid/exe") != "$(readlink -f "$BIN")" ]] || kill -KILL "$pid" 2>/dev/null || true
        done <"$file"
    done
    sleep 0.1
    for file in "${MOUNTS[@]}"; do
        umount -l "$file" 2>/dev/null || true
    done
    MOUNTS=()
    for file in "${LOOPS[@]}"; do
        losetup --detach "$file" || true
    done
}
