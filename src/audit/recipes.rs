//! Commands for a POSIX shell with openssl and python3 that check what this program checks.

use std::fmt::Write as _;

use crate::audit::anchors::Anchors;
use crate::identity::keys::PublicKey;
use crate::identity::statement::Note;
use crate::tlog::Checkpoint;

/// A key as openssl reads it, from a vkey: twelve bytes of RFC 8410, then the key.
const KEY: &str = r#"{ printf '\060\052\060\005\006\003\053\145\160\003\041\000'; printf '%s' "$vkey" | cut -d + -f 3- | base64 -d | tail -c 32; } > "$dir/key.der"
"#;
const VERIFY: &str = r#"openssl pkeyutl -verify -pubin -keyform DER -inkey "$dir/key.der" -rawin -in "$dir/text" -sigfile "$dir/signature"
"#;

fn add(text: &mut String, more: std::fmt::Arguments<'_>) {
    // A String takes everything.
    text.write_fmt(more).ok();
}

/// In single quotes for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn start(path: &str) -> String {
    format!("set -eu\nfile={}\ndir=$(mktemp -d)\n", quoted(path))
}

/// The vkey where it is trusted, else where to put it.
fn vkey(keys: &Anchors, name: &str, id: Option<&str>) -> String {
    let fits = |key: &&PublicKey| id.is_none_or(|id| key.id().to_string() == id);
    let known = keys.named(name).find(fits).map(PublicKey::to_vkey);
    let id = id.unwrap_or("ID");
    let text = known.unwrap_or_else(|| format!("{name}+{id}+PUT-THE-KEY-THAT-YOU-TRUST-HERE"));
    format!("vkey={}\n", quoted(&text))
}

/// Each signature of a note.
pub(super) fn note(path: &str, note: &Note, keys: &Anchors) -> String {
    let mut text = start(path);
    text.push_str("head -n 2 \"$file\" > \"$dir/text\"\n");
    // They follow two lines of text and an empty one.
    for (number, line) in (4..).zip(note.signatures()) {
        text.push_str(&vkey(
            keys,
            &line.name.to_string(),
            Some(&line.id.to_string()),
        ));
        text.push_str(KEY);
        add(
            &mut text,
            format_args!(
                "sed -n {number}p \"$file\" | cut -d ' ' -f 3 | base64 -d | tail -c 64 > \"$dir/signature\"\n"
            ),
        );
        text.push_str(VERIFY);
    }
    add(
        &mut text,
        format_args!(
            r#"python3 - "$file" {count} <<'PY'
import json, sys
note = open(sys.argv[1], "rb").read()
lines = note.decode().split("\n")
assert len(lines) == 4 + int(sys.argv[2]) and lines[2] == "" and lines[-1] == "", "not two lines, an empty one and the signatures"
assert json.dumps(json.loads(lines[1]), sort_keys=True, separators=(",", ":"), ensure_ascii=False) == lines[1], "not canonical"
print("the text is", json.loads(lines[1])["kind"], "in canonical form")
PY
"#,
            count = note.signatures().len()
        ),
    );
    text
}

/// The log's signature on the checkpoint in the file that the shell calls `$file`.
fn signed(head: &Checkpoint, keys: &Anchors) -> String {
    let mut text = "head -n 3 \"$file\" > \"$dir/text\"\n".to_owned();
    text.push_str(&vkey(keys, &head.origin, None));
    text.push_str(KEY);
    text.push_str(
        r#"python3 - "$file" "$vkey" "$dir/signature" <<'PY'
import base64, sys
name, key_id, key = sys.argv[2].split("+", 2)
body, _, lines = open(sys.argv[1], encoding="utf-8").read().partition("\n\n")
assert len(body.split("\n")) == 3 and body.split("\n")[0] == name, "another log's checkpoint"
found = [line.split(" ")[2] for line in lines.splitlines() if line.startswith("\u2014 " + name + " ")]
blobs = [base64.b64decode(blob, validate=True) for blob in found]
open(sys.argv[3], "wb").write(next(blob[4:] for blob in blobs if blob[:4].hex() == key_id))
PY
"#,
    );
    text.push_str(VERIFY);
    text
}

/// The log's signature, and each trusted witness's that is there.
pub(super) fn checkpoint(path: &str, head: &Checkpoint, keys: &Anchors) -> String {
    start(path) + &signed(head, keys) + &cosigned(keys)
}

/// Cosignatures are over another text: a line that names the format, the time, and the checkpoint.
fn cosigned(keys: &Anchors) -> String {
    let mut text = String::new();
    for witness in keys.witnesses() {
        add(
            &mut text,
            format_args!("vkey={}\n", quoted(&witness.to_vkey())),
        );
        text.push_str(KEY);
        text.push_str(
            r#"if python3 - "$file" "$vkey" "$dir" <<'PY'
import base64, hashlib, sys
name, _, key = sys.argv[2].split("+", 2)
key = base64.b64decode(key)[1:]
wanted = hashlib.sha256(name.encode() + b"\n\x04" + key).digest()[:4]
body, _, lines = open(sys.argv[1], encoding="utf-8").read().partition("\n\n")
for line in lines.splitlines():
    blob = base64.b64decode(line.split(" ")[2])
    if line.split(" ")[1] == name and blob[:4] == wanted and len(blob) == 76:
        seconds = int.from_bytes(blob[4:12], "big")
        open(sys.argv[3] + "/text", "w").write(f"cosignature/v1\ntime {seconds}\n{body}\n")
        open(sys.argv[3] + "/signature", "wb").write(blob[12:])
        sys.exit(0)
print(name, "has not cosigned it")
sys.exit(1)
PY
then "#,
        );
        text.push_str(VERIFY.trim_end());
        text.push_str("; fi\n");
    }
    text
}

/// The way from the leaf to the root, and the checkpoint.
pub(super) fn proof(path: &str, head: &Checkpoint, keys: &Anchors) -> String {
    let leaf = path.strip_suffix(".tlog-proof").map_or_else(
        || "PUT-THE-LEAF.JSON-HERE".to_owned(),
        |base| format!("{base}.leaf.json"),
    );
    let mut text = start(path);
    add(&mut text, format_args!("leaf={}\n", quoted(&leaf)));
    text.push_str(
        r#"python3 - "$file" "$leaf" <<'PY'
import base64, hashlib, json, sys
head, _, note = open(sys.argv[1], encoding="utf-8").read().partition("\n\n")
lines = head.split("\n")
assert lines.pop(0) == "c2sp.org/tlog-proof@v1", "not a proof"
if lines[0].startswith("extra "):
    lines.pop(0)
index = int(lines.pop(0).removeprefix("index "))
size, root = int(note.split("\n")[1]), base64.b64decode(note.split("\n")[2])
leaf = json.load(open(sys.argv[2]))
assert leaf["index"] == index < size, "the proof of another leaf"
node = hashlib.sha256(b"\0" + base64.b64decode(leaf["entry"])).digest()
at, last = index, size - 1
for line in lines:
    other = base64.b64decode(line, validate=True)
    assert len(other) == 32 and last > 0, "a malformed proof"
    if at % 2 or at == last:
        node = hashlib.sha256(b"\1" + other + node).digest()
        while at % 2 == 0 and at:
            at, last = at >> 1, last >> 1
    else:
        node = hashlib.sha256(b"\1" + node + other).digest()
    at, last = at >> 1, last >> 1
assert last == 0 and node == root, "the hashes do not lead to the root"
print("leaf", index, "is in the log of", size, "leaves")
PY
sed '1,/^$/d' "$file" > "$dir/checkpoint"
file=$dir/checkpoint
"#,
    );
    text + &signed(head, keys) + &cosigned(keys)
}

/// The commitment, against the note of the same name.
pub(super) fn leaf(path: &str) -> String {
    let note = path.strip_suffix(".leaf.json").map_or_else(
        || "PUT-THE-NOTE-HERE".to_owned(),
        |base| match base.rsplit_once("log/") {
            Some((folder, name)) => format!("{folder}receipts/{name}.note"),
            None => format!("../receipts/{base}.note"),
        },
    );
    let mut text = start(path);
    add(&mut text, format_args!("note={}\n", quoted(&note)));
    text.push_str(
        r#"python3 - "$file" "$note" <<'PY'
import base64, hashlib, json, sys
leaf = json.load(open(sys.argv[1]))
digest = hashlib.sha256(open(sys.argv[2], "rb").read()).digest()
assert digest.hex() == leaf["note_sha256"], "the leaf of another note"
commitment = hashlib.sha256(b"rogatory/commit/v1\0" + bytes.fromhex(leaf["r"]) + digest).digest()
entry = b"rogatory/leaf/v1\n" + base64.b64encode(commitment) + b"\n"
assert base64.b64decode(leaf["entry"]) == entry, "the entry is not that of the note"
assert hashlib.sha256(b"\0" + entry).hexdigest() == leaf["leaf_hash"], "the hash is not that of the entry"
print("leaf", leaf["index"], "commits to this note")
PY
"#,
    );
    text
}
