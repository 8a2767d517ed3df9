#!/usr/bin/env bash
# limit: 600 s
# runs beside the others
# The installation of docs/operations.md, word for word, on Debian machines with a real systemd: what people with accounts of
# their own may do there, what the daemon may not, and what becomes of it when it is reloaded, killed, stopped or misconfigured.
# Two such machines exchange a package.
#
#   PUT_BACK=SETTING   with one setting of the units as it must not be (see `put_back`): then this must fail
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/systemd/machine.sh"
can_boot
kept_root

# put_back FOLDER: what is to be installed, with that one setting
put_back() {
    local daemon=$1/systemd/rogatoryd.service fetcher=$1/systemd/rogatory-fetcher.service
    case ${PUT_BACK:-} in
        '') return ;;
        private-users) sed -i 's/^\[Service\]$/&\nPrivateUsers=yes/' "$daemon" ;;
        private-users-fetcher) sed -i 's/^\[Service\]$/&\nPrivateUsers=yes/' "$fetcher" ;;
        writable-configuration) sed -i 's/^\[Service\]$/&\nReadWritePaths=-\/etc\/rogatory/' "$daemon" ;;
        owned-configuration) sed -i 's/^\(d .*\) root rogatory -$/\1 rogatory rogatory -/' "$1/systemd/rogatory.tmpfiles" ;;
        owned-keys) sed -i 's/^\(z .*\) root rogatory -$/\1 rogatory rogatory -/' "$1/systemd/rogatory.tmpfiles" ;;
        own-keys) echo 'Z /etc/rogatory/keys - rogatory rogatory -' >>"$1/systemd/rogatory.tmpfiles" ;;
        checked-before) sed -i 's/^ExecStart=/ExecStartPre=\/usr\/bin\/rogatory check config\n&/' "$daemon" ;;
        reload-unchecked) sed -i 's/^\(ExecReload=.*\)env .* && /\1/' "$daemon" ;;
        start-limit) sed -i '/^StartLimitIntervalSec=/d' "$daemon" ;;
        *) fail "PUT_BACK: there is no ${PUT_BACK}" ;;
    esac
    ! diff -r "$ROOT/systemd" "$1/systemd" >/dev/null || fail "PUT_BACK=$PUT_BACK changes nothing"
    ok "put back: $PUT_BACK"
}

# install NAME SED: the block of the manual in a source folder of the machine, after this change
install_() {
    local name=$1 source=$WORK/$1.root/root/source
    mkdir -p "$source/target/release"
    cp -r "$ROOT/systemd" "$source/systemd"
    cp "$WORK/rogatory" "$source/target/release/rogatory"
    put_back "$source"
    block '## Installing' | sed "$2" >"$source/install.sh"
    grep -q 'rogatory init' "$source/install.sh" || fail "the manual has no block of commands below its heading Installing"
    sed 's/^/      | /' "$source/install.sh"
    expect 0 "$name is installed by these lines" in_ "$name" bash -euxc 'cd /root/source && source ./install.sh'
    rm -rf "$source"
}

# people NAME: accounts of people, and roles for them
people_() {
    local name=$1 account
    in_ "$name" bash -euc '
        groupadd --gid 700 rogatory-officers
        add() { useradd --no-create-home --uid "$1" "$2" && usermod --append --groups "$3" "$2"; }
        add 1001 a.murphy rogatory,rogatory-officers
        add 1002 s.byrne rogatory
        add 1003 o.kelly rogatory
        add 1004 p.quinn rogatory
        add 1007 t.doyle rogatory
        add 1008 k.nolan rogatory
        # A directory service, played by files of its own: an account and a group that /etc does not list.
        sed -i "s/^\(passwd\|group\):.*/& extrausers/" /etc/nsswitch.conf
        mkdir -p /var/lib/extrausers
        echo "d.walsh:x:5001:5001:::/bin/sh" >/var/lib/extrausers/passwd
        echo "fraud-team:x:5900:d.walsh" >/var/lib/extrausers/group
        echo "walsh:x:5001:" >>/var/lib/extrausers/group
        chmod 644 /var/lib/extrausers/*
        gpasswd --add d.walsh rogatory >/dev/null
        mkdir -m 1777 /srv/people
        head -c 3000000 /dev/urandom >/srv/people/evidence
        chmod 644 /srv/people/evidence
        sed -i "s/^\[roles\]\$/&\nofficer = [\"group:rogatory-officers\", \"group:fraud-team\"]\nsupervisor = [\"user:s.byrne\"]\noperator = [\"user:o.kelly\", \"user:p.quinn\"]\nauditor = [\"uid:1007\"]/
            s/^\[policy\]\$/&\ndual_control = [\"peer.accept\", \"package.restrict\"]/" /etc/rogatory/rogatory.toml'
    expect 0 "roles and dual control come into force at $name" in_ "$name" systemctl restart rogatoryd.service
}

# does CODE NAME ACCOUNT WHAT ARGUMENTS…: this account's command line
does() {
    local code=$1 name=$2 account=$3 what=$4
    shift 4
    expect "$code" "$account at $name: $what" as_ "$name" "$account" rogatory "$@"
}

# toml NAME SED: changes the configuration
toml() {
    in_ "$1" sed -i "$2" /etc/rogatory/rogatory.toml
}

# came_back NAME PID: another process serves in place of this one
came_back() {
    local now
    now=$(show "$1" MainPID)
    [ "$now" -ne "$2" ] && [ "$now" -ne 0 ] && [ "$(show "$1" ActiveState)" = active ]
}

# arrived ID: de holds the package
arrived() {
    [ "$(as_ de a.murphy rogatory package show "$1" --json | jq -r .state)" = held ]
}

# failed_with_3 NAME: the daemon's unit is failed, by the exit code of a configuration that is invalid
failed_with_3() {
    [ "$(show "$1" ActiveState) $(show "$1" ExecMainStatus)" = "failed 3" ]
}

# journal NAME PATTERN OPTIONS…: a line of the unit's log. All of it is read: a journalctl that cannot write its rest fails.
journal() {
    local name=$1 pattern=$2
    shift 2
    in_ "$name" journalctl --quiet --no-pager --output=cat --unit=rogatoryd.service "$@" | grep -E -- "$pattern" >/dev/null
}

echo "---- installing"
boot ie
boot de
install_ ie ''
install_ de 's/mla\.example\.ie/bfj.example.de/g; s/Department of Justice/Bundesamt/; s/IE/DE/'
for name in ie de; do
    equal "$name serves" active "$(in_ $name systemctl is-active rogatoryd.service)"
    equal "failed units at $name" "" "$(in_ $name systemctl --failed --plain --no-legend)"
    equal "sandbox of $name" "ok ok" "$(in_ $name rogatory status --json | jq -r '.sandbox | "\(.landlock) \(.seccomp)"')"
done
join_ ie de 10.77.0.1 10.77.0.2
in_ ie bash -c 'echo "10.77.0.2 bfj.example.de" >>/etc/hosts'
in_ de bash -c 'echo "10.77.0.1 mla.example.ie" >>/etc/hosts'

echo "---- what the daemon may not do"
pid=$(show ie MainPID)
for path in /etc/rogatory/new /etc/rogatory/rogatory.toml /etc/rogatory/keys/receipts.key /etc/rogatory/keys/new; do
    expect 1 "the unit has $path read-only" in_ ie nsenter --target "$pid" --mount -- bash -c "echo >>$path"
    says 'read-only file system' "and says why"
    expect 1 "the account rogatory does not write $path" in_ ie setpriv --reuid=rogatory --regid=rogatory --clear-groups -- bash -c "echo >>$path"
    says 'permission denied' "and says why"
done
for key in receipts log witness card age reset tls tls-ca; do
    expect 1 "the account rogatory does not read $key.key" in_ ie setpriv --reuid=rogatory --regid=rogatory --clear-groups -- cat "/etc/rogatory/keys/$key.key"
done
expect 1 "nor does it replace one" in_ ie setpriv --reuid=rogatory --regid=rogatory --clear-groups -- mv /etc/rogatory/keys/receipts.key /etc/rogatory/keys/old
expect 0 "the sandbox refuses what it must" in_ ie bash -c "rogatory check sandbox --json; exit \$?"
equal "configuration and keys are among it" "refused refused" \
    "$(jq -r '[.tried[] | select(.what == "write the configuration" or .what == "write the keys") | .found] | join(" ")' "$WORK/out")"
in_ ie bash -c "readlink /proc/$pid/ns/user /proc/1/ns/user" >"$WORK/out"
equal "user namespaces of the daemon and the machine" 1 "$(sort -u "$WORK/out" | wc -l)"

echo "---- people"
people_ ie
people_ de
for name in ie de; do
    for account in a.murphy s.byrne o.kelly t.doyle d.walsh; do
        does 0 "$name" "$account" "status" status
    done
    equal "no role of $name is for somebody unknown" "[]" "$(as_ $name o.kelly rogatory status --json | jq -c '[.problems[] | select(.code == "role-holder-unknown")]')"
    does 4 "$name" k.nolan "has no role" status
    does 4 "$name" root "has none either" status
    expect 3 "$name knows nobody by the number of nobody" in_ "$name" setpriv --reuid=65534 --regid=rogatory --clear-groups -- rogatory status
    says 'PrivateUsers' "and says what to look at"
done

echo "---- two persons, and a peer by name"
cp "$WORK/de.root/etc/rogatory/de.card" "$WORK/de.root/etc/rogatory/de.crl" "$WORK/ie.root/srv/people"
cp "$WORK/ie.root/etc/rogatory/ie.card" "$WORK/ie.root/etc/rogatory/ie.crl" "$WORK/de.root/srv/people"
chmod 644 "$WORK"/??.root/srv/people/*
# pairs NAME OTHER: two operators take a peer in
pairs() {
    local name=$1 other=$2 words request
    words=$(as_ "$other" o.kelly rogatory peer card --json | jq -r .fingerprint)
    does 4 "$name" a.murphy "adds no peer" peer add "/srv/people/$other.card"
    does 0 "$name" o.kelly "adds the card of $other" peer add "/srv/people/$other.card"
    does 4 "$name" o.kelly "does not accept it alone" peer accept "$other" --fingerprint "$words" --json
    equal "because" second-person-missing "$(jq -rs 'last | .denial.reason // .error' "$WORK/err")"
    request=$(as_ "$name" o.kelly rogatory approvals list --json | jq -r '.[] | select(.state == "waiting") | .id')
    does 4 "$name" o.kelly "is not a second person" approvals approve "$request"
    does 4 "$name" a.murphy "has not the role for it" approvals approve "$request"
    does 0 "$name" p.quinn "approves it" approvals approve "$request"
}
pairs ie de
pairs de ie
does 0 ie o.kelly "reaches de by its name" peer ping de
does 0 de o.kelly "reaches ie by its name" peer ping ie

echo "---- a package from machine to machine"
does 4 ie t.doyle "an auditor sends nothing" package send --to de "${TERMS[@]}" /srv/people/evidence
does 0 ie a.murphy "an officer sends" package send --to de "${TERMS[@]}" --wait --json /srv/people/evidence
id=$(jq -rs 'map(select(.type? == "summary")) | last | .id' "$WORK/out")
open=(package open "$id" --purpose trial --justification hearing --out)
for account in o.kelly t.doyle k.nolan; do
    does 4 de "$account" "opens nothing" "${open[@]}" /srv/people/refused
done
does 0 de a.murphy "an officer opens" "${open[@]}" /srv/people/by-officer
does 0 de s.byrne "a supervisor opens" "${open[@]}" /srv/people/by-supervisor
does 0 de d.walsh "an officer opens whose account and group a directory service knows" "${open[@]}" /srv/people/by-directory
expect 0 "k.nolan opens, with a group that the kernel alone knows of" in_ de setpriv --reuid=k.nolan --regid=k.nolan --groups=rogatory,rogatory-officers -- \
    rogatory "${open[@]}" /srv/people/by-kernel
for folder in by-officer by-supervisor by-directory by-kernel; do
    cmp "$WORK/ie.root/srv/people/evidence" "$(find "$WORK/de.root/srv/people/$folder/data" -type f)"
done
ok "and all have what was sent"
expect 4 "a.murphy opens nothing without that group" in_ de setpriv --reuid=a.murphy --regid=a.murphy --groups=rogatory -- rogatory "${open[@]}" /srv/people/refused
does 0 de t.doyle "an auditor reads receipts" receipt list
does 4 ie d.walsh "restricts nothing alone" package restrict "$id" --retain-until 2030-12-31 --justification "less is needed"
does 0 ie s.byrne "sees who has asked" approvals list --json
equal "by the name that the directory service gives" d.walsh "$(jq -r '.[] | select(.state == "waiting") | .asked_by' "$WORK/out")"
does 0 ie s.byrne "a second person approves" approvals approve "$(jq -r '.[] | select(.state == "waiting") | .id' "$WORK/out")"

echo "---- the log"
journal ie 'serving' || fail "the log does not say that the daemon serves"
ok "the log says that the daemon serves"
! journal ie 'serving|INFO' --priority=warning || fail "what is no warning has the priority of one"
ok "but not with the priority of a warning"
toml ie 's/^# grace = .*/grace = "25 s"/'
expect 0 "a good change is reloaded" in_ ie systemctl reload rogatoryd.service
within 10 "what must wait is a line of journalctl -p warning" journal ie 'WARN.*has changed' --priority=warning
! journal ie '^ok' --priority=warning || fail "that the configuration is good is no warning"

echo "---- a broken file at reload"
pid=$(show ie MainPID)
in_ ie cp /etc/rogatory/rogatory.toml /root/good.toml
toml ie '$a nonsense = 1'
expect 1 "the reload fails" in_ ie systemctl reload rogatoryd.service
equal "the daemon serves as before" "active $pid" "$(show ie ActiveState) $(show ie MainPID)"
does 0 ie o.kelly "reaches de" peer ping de
journal ie 'nonsense' --priority=err || fail "the log does not name the fault as an error"
ok "the log names the fault, with the priority of an error"
in_ ie cp /root/good.toml /etc/rogatory/rogatory.toml
expect 0 "mended, it reloads" in_ ie systemctl reload rogatoryd.service
equal "by the same process" "active $pid" "$(show ie ActiveState) $(show ie MainPID)"

echo "---- killed, and stopped in its tracks"
in_ ie mkdir -p /run/systemd/system/rogatoryd.service.d
in_ ie bash -c 'printf "[Service]\nRestartSec=100ms\nWatchdogSec=3\n" >/run/systemd/system/rogatoryd.service.d/test.conf'
in_ ie systemctl daemon-reload
in_ ie bash -c 'head -c 200000000 /dev/urandom >/srv/people/large && chmod 644 /srv/people/large'
toml ie 's/^# send_bandwidth = .*/send_bandwidth = "50 Mbit\/s"/'
in_ ie systemctl restart rogatoryd.service
does 0 ie a.murphy "sends 200 MB, which take half a minute" package send --to de "${TERMS[@]}" --json /srv/people/large
large=$(jq -rs 'map(select(.type? == "summary")) | last | .id' "$WORK/out")
for n in 1 2 3 4 5 6 7 8; do
    pid=$(show ie MainPID)
    in_ ie bash -c "kill -KILL $pid"
    within 20 "kill -9, $n: it is back" came_back ie "$pid"
done
equal "the package is under way, eight kills later" dispatched "$(as_ ie a.murphy rogatory package show "$large" --json | jq -r .state)"
within 120 "and arrives" arrived "$large"
does 0 ie o.kelly "reaches de" peer ping de
pid=$(show ie MainPID)
in_ ie bash -c "kill -STOP $pid"
within 30 "SIGSTOP: the watchdog has started another" came_back ie "$pid"
within 20 "the log names the watchdog" journal ie "Watchdog timeout"
does 0 ie o.kelly "reaches de" peer ping de
does 0 de o.kelly "reaches ie" peer ping ie

echo "---- a configuration that cannot be served"
toml ie '$a nonsense = 1'
expect 1 "the restart fails" in_ ie systemctl restart rogatoryd.service
within 20 "with exit code 3" failed_with_3 ie
restarts=$(show ie NRestarts)
sleep 3
# A packet of de may start it once more by its socket, to the same end; systemd does not by itself.
equal "and is not tried again" "$restarts" "$(show ie NRestarts)"
within 20 "it stays failed" failed_with_3 ie
# However many packets come, the way back is the same.
in_ de bash -c 'for n in {1..200}; do echo "packet $n" >/dev/udp/10.77.0.1/7443; sleep 0.02; done'
within 20 "200 packets later, it stays failed" failed_with_3 ie
echo "        its socket is $(in_ ie systemctl show --property=ActiveState,Result --value rogatoryd.socket | xargs)"
journal ie 'nonsense' --priority=err || fail "the log does not name the fault as an error"
ok "the log names the fault, with the priority of an error"
in_ ie cp /root/good.toml /etc/rogatory/rogatory.toml
expect 0 "mended, it starts" in_ ie systemctl restart rogatoryd.service
does 0 ie a.murphy "and has the package" package show "$id"
expect 0 "it stops when it is asked" in_ ie systemctl stop rogatoryd.service
equal "in good order" "success 0" "$(show ie Result) $(show ie ExecMainStatus)"
expect 0 "and its state is clean" in_ ie rogatory fsck
expect 0 "it starts after that" in_ ie systemctl start rogatoryd.service
does 0 ie o.kelly "reaches de" peer ping de
equal "failed units at ie" "" "$(in_ ie systemctl --failed --plain --no-legend)"
