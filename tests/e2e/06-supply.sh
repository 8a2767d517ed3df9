#!/usr/bin/env bash
# limit: 120 s
# runs beside the others
# What the program is built from, judged by cargo-deny as .deny.toml says: licences, banned crates, sources, versions that
# are named. Advisories are those of tests/advisories, which need no network; .ci/run asks for the newest ones. Then each
# rule is broken once, and must be heard of.
source "$(dirname "$0")/lib.sh"

export CARGO_NET_OFFLINE=true CARGO_TERM_COLOR=never
cd "$ROOT"

# deny ARGUMENTS…: the one on the PATH, or the one that tests/run has installed
deny() {
    local program
    program=$(command -v cargo-deny || echo "$ROOT/tests/.venv/bin/cargo-deny")
    "$program" "$@"
}

# judged CONFIG MANIFEST CHECK…: duplicates are listed by name instead
judged() {
    deny --config "$1" --manifest-path "$2" check --hide-inclusion-graph --allow duplicate "${@:3}"
}

expect 0 "licences, bans, sources of the program" judged .deny.toml Cargo.toml licenses bans sources
CARGO_NET_OFFLINE=false expect 0 "and of the fuzz targets" judged .deny.toml fuzz/Cargo.toml licenses bans sources
ok "crates in more than one version: $(sed -n 's/^name = "\(.*\)"$/\1/p' Cargo.lock | uniq -d | xargs)"

# Advisories: a repository like RustSec's, of those that concern this program.
cp -r tests/advisories "$WORK/known"
git -C "$WORK/known" init --quiet --initial-branch main
keep() {
    git -C "$WORK/known" add . && git -C "$WORK/known" -c user.name=test -c user.email=test@example.org commit --quiet --message "$1"
}
keep known
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=url.file://$WORK/known.insteadOf GIT_CONFIG_VALUE_0=https://github.com/RustSec/advisory-db
sed "s|^\[advisories\]\$|&\ndb-path = \"$WORK/advisories\"|" .deny.toml >"$WORK/deny.toml"
fetched() {
    rm -rf "$WORK/advisories"
    CARGO_NET_OFFLINE=false deny --config "$WORK/deny.toml" fetch db
}
expect 0 "known advisories are read" fetched
expect 0 "none of them concerns this program, but for what .deny.toml excepts" judged "$WORK/deny.toml" Cargo.toml advisories
sed '/RUSTSEC-/d' "$WORK/deny.toml" >"$WORK/strict.toml"
expect 1 "without its exception, one does" judged "$WORK/strict.toml" Cargo.toml advisories
says 'RUSTSEC-2026-0173' "it is named"
mkdir "$WORK/known/crates/hex"
sed 's/rsa/hex/; s/2023-0071/2023-9999/' tests/advisories/crates/rsa/*.md >"$WORK/known/crates/hex/RUSTSEC-2023-9999.md"
keep planted
expect 0 "they are read again" fetched
expect 1 "a vulnerable crate" judged "$WORK/deny.toml" Cargo.toml advisories
says 'RUSTSEC-2023-9999' "it is named"

# depends DEPENDENCY: a package with this dependency and no other
depends() {
    printf '[package]\nname = "planted"\nversion = "1.0.0"\nedition = "2024"\nlicense = "MIT"\n[dependencies]\n%s\n' "$1" >"$WORK/planted/Cargo.toml"
    rm -f "$WORK/planted/Cargo.lock"
}

# planted WHAT CHECK PATTERN DEPENDENCY: it is refused
planted() {
    local code=0
    depends "$4"
    judged .deny.toml "$WORK/planted/Cargo.toml" "$2" >"$WORK/out" 2>"$WORK/err" || code=$?
    [ "$code" -ne 0 ] || fail "$1 passes"
    says "$3" "$1 is refused (exit $code)"
}

# crate NAME LICENCE: makes one beside it; LOCAL depends on it
crate() {
    mkdir -p "$WORK/planted/$1/src"
    : >"$WORK/planted/$1/src/lib.rs"
    printf '[package]\nname = "%s"\nversion = "1.0.0"\nedition = "2024"\n%s\n' "$1" "${2:+license = \"$2\"}" >"$WORK/planted/$1/Cargo.toml"
    LOCAL="$1 = { version = \"1\", path = \"$1\" }"
}

mkdir -p "$WORK/planted/src"
: >"$WORK/planted/src/lib.rs"
crate good MIT
depends "$LOCAL"
expect 0 "a good dependency passes" judged .deny.toml "$WORK/planted/Cargo.toml" licenses bans sources
for banned in native-tls openssl openssl-sys ring rsa; do
    crate $banned ISC
    planted "the banned crate $banned" bans "crate.*$banned.*banned" "$LOCAL"
done
crate copyleft GPL-3.0-only
planted "a licence that is not on the list" licenses 'GPL-3.0-only' "$LOCAL"
crate bare ''
planted "a crate without a licence" licenses 'bare.*unlicensed' "$LOCAL"
planted "any version of a crate" bans 'wildcard' 'hex = "*"'
crate fetched MIT
git -C "$WORK/planted/fetched" init --quiet --initial-branch main
git -C "$WORK/planted/fetched" add .
git -C "$WORK/planted/fetched" -c user.name=test -c user.email=test@example.org commit --quiet --message planted
CARGO_NET_OFFLINE=false planted "a crate from a git repository" sources 'git.*fetched' "fetched = { git = \"file://$WORK/planted/fetched\" }"

# Another registry, which has one crate.
mkdir -p "$WORK/registry/ot/he"
crate other MIT
tar -C "$WORK/planted" --transform 's,^other,other-1.0.0,' -czf "$WORK/other.crate" other
printf '{"dl":"file://%s/{crate}.crate"}' "$WORK" >"$WORK/registry/config.json"
printf '{"name":"other","vers":"1.0.0","deps":[],"cksum":"%s","features":{},"yanked":false}\n' \
    "$(sha256sum "$WORK/other.crate" | cut -d ' ' -f 1)" >"$WORK/registry/ot/he/other"
git -C "$WORK/registry" init --quiet --initial-branch main
git -C "$WORK/registry" add .
git -C "$WORK/registry" -c user.name=test -c user.email=test@example.org commit --quiet --message planted
export CARGO_HOME=$WORK/cargo CARGO_REGISTRIES_PLANTED_INDEX=file://$WORK/registry
CARGO_NET_OFFLINE=false planted "a crate from another registry" sources 'other' 'other = { version = "1", registry = "planted" }'
