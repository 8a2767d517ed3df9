#!/usr/bin/env bash
# limit: 300 s
# runs beside the others
# A full disk at the receiver: what was promised is kept, new offers are told to come back later, status says why, and
# everything goes on by itself once there is space. Needs the right to mount (root): a small file system of its own.
source "$(dirname "$0")/lib.sh"
as_root "mount a small file system"

mount_small() {
    mkdir -p "$WORK/de/state"
    mount -t tmpfs -o size=80m tmpfs "$WORK/de/state" || fail "a tmpfs cannot be mounted"
    MOUNTS+=("$WORK/de/state")
}

new_authority ie mla.example.ie IE
new_authority de bfj.example.de DE
mount_small
export ROGATORY__LIMITS__RESERVE="8 MiB"
start ie
start de
wait_serving ie
wait_serving de
trust ie de
trust de ie

head -c 30M /dev/urandom >"$WORK/fits.bin"
head -c 60M /dev/urandom >"$WORK/large.bin"
first=$(send ie de "$WORK/fits.bin")
wait_state de "$first" held 60
ok "a package that fits is held"

second=$(send ie de "$WORK/large.bin")
small=$(send ie de "$WORK/de.log")
wait_state de "$small" held 60
ok "a small package still arrives beside one that does not fit"
within 30 "the sender says that the peer is full" holds ie '.fault.code == "peer-storage-full"' transfer show "$second"
equal "nothing of it is doubled or lost at the sender" dispatched "$(state ie "$second")"
expect 0 "the receiver serves" r de status

mount -o remount,size=400m "$WORK/de/state"
wait_state de "$second" held 120
wait_state ie "$second" closed 60
ok "it went on by itself once there was space"
expect 0 "and what arrived is whole" r de package verify "$second"
expect 0 "as is what was promised before" r de package verify "$first"
stop ie
stop de
