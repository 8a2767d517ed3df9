#!/bin/sh
# Packages and other people's tools: `age` decrypts, `tar` lists and unpacks, `bagit.py` (PyPI) validates, with none of our code;
# what our code unpacks validates too. 20,000 small files, a sparse file of 9 GiB, and names of every kind; 96 MiB of memory.
#
#   tests/bagit.sh [--small]      --small: 200 files and no large one
#
# Needs age, tar and python3 with venv; without age or network for `bagit` it says what is missing and exits 77 (not run).
# PROFILE=dev tests a build without optimisation, BAGIT=PATH another bagit.py. Writes under ${TMPDIR:-/tmp}: about 20 GiB for the large file, removed at the end.
set -eu
cd "$(dirname "$0")/.."
count=20000
large=9G
if [ "${1:-}" = --small ]; then
    count=200
    large=
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

missing() {
    echo "tests/bagit.sh: not run: $1"
    exit 77
}
command -v age >/dev/null || missing "install age (Debian: apt-get install age)"
if [ -n "${BAGIT:-}" ]; then
    bagit=$BAGIT
elif [ -x tests/.venv/bin/bagit.py ]; then
    bagit=tests/.venv/bin/bagit.py
elif command -v bagit.py >/dev/null; then
    bagit=bagit.py
else
    python3 -m venv "$work/venv" && "$work/venv/bin/pip" -q install bagit==1.9.0 || missing "no bagit.py and none to be had"
    bagit=$work/venv/bin/bagit.py
fi
cargo build -q --profile "${PROFILE:-release}" --locked --example package
target=${CARGO_TARGET_DIR:-target}
case ${PROFILE:-release} in
dev) package=$target/debug/examples/package ;;
*) package=$target/${PROFILE:-release}/examples/package ;;
esac

# $1 name, then inputs: seal, decrypt with age, compare both ways.
round() {
    name=$1
    shift
    echo "== $name"
    "$package" seal "$work/$name" "$@" | tee "$work/log"
    memory
    age -d -i "$work/$name/key.txt" "$work/$name/package.age" | tar t >"$work/list"
    [ "$(tail -n 1 "$work/list")" = rogatory/index ]
    echo "tar lists $(wc -l <"$work/list") entries"
    mkdir "$work/$name/tar"
    age -d -i "$work/$name/key.txt" "$work/$name/package.age" | tar x -C "$work/$name/tar"
    "$bagit" --validate --quiet "$work/$name/tar"
    echo "bagit.py validates what tar unpacked"
    rm -rf "$work/$name/tar"
    "$package" open "$work/$name" "$work/$name/out" | tee "$work/log"
    memory
    "$bagit" --validate --quiet "$work/$name/out"
    echo "bagit.py validates what rogatory unpacked"
    for input in "$@"; do
        diff -r "$input" "$work/$name/out/data/$(basename "$input")"
    done
    rm -rf "${work:?}/$name"
}

memory() {
    kilobytes=$(sed -n 's/.* \([0-9]*\) kB resident$/\1/p' "$work/log")
    [ "$kilobytes" -le 98304 ] || {
        echo "$kilobytes kB resident, more than 96 MiB"
        exit 1
    }
}

mkdir -p "$work/in/names/$(printf 'p%.0s' $(seq 1 150))" "$work/in/many"
printf 'x' >"$work/in/names/$(printf 'p%.0s' $(seq 1 150))/$(printf 'n%.0s' $(seq 1 120))"
printf 'x' >"$work/in/names/Zürich 日本語 – ñ.txt"
printf 'x' >"$work/in/names/*star?[a]"
printf 'x' >"$work/in/names/ leading, \"quoted\" 'name' \\ back"
printf 'x' >"$work/in/names/-rf"
printf 'x' >"$work/in/names/.hidden"
: >"$work/in/names/empty"
round names "$work/in/names"

seq 1 "$count" | while read -r number; do
    folder=$work/in/many/$((number % 100))
    [ -d "$folder" ] || mkdir "$folder"
    echo "item $number" >"$folder/$number.txt"
done
round many "$work/in/many"

if [ -n "$large" ]; then
    truncate -s "$large" "$work/in/disk.img"
    printf 'the end' >>"$work/in/disk.img"
    round large "$work/in/disk.img"
fi
echo "ok"
