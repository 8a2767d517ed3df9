//! Checks on the source text: which module may use which, what stays pure, how long a file may get, how things are
//! named.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tokens::{Token, tokens};

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/codes.rs"]
mod codes;
#[path = "tidy/names.rs"]
mod names;
#[path = "tidy/planted.rs"]
mod planted;
#[path = "tidy/tokens.rs"]
mod tokens;

/// Bottom rung first: a module may use only the modules before it.
const LADDER: &[&str] = &[
    "base", "identity", "tlog", "policy", "request", "package", "receipt", "exchange", "wire",
    "transfer", // pure
    "seal", "audit", "config", "keys", "store", "net", "api", "daemon", "console",
    "cli", // shell
];
/// So many rungs are pure: time, randomness and input come in as arguments.
const PURE: usize = 10;
/// Paths that a pure module may not name, by their first parts.
const IMPURE: &[&[&str]] = &[
    &["axum"],
    &["aws_lc_rs", "rand"],
    &["getrandom"],
    &["hyper"],
    &["quinn"],
    &["rand"],
    &["rusqlite"],
    &["rustix"],
    &["std", "env"],
    &["std", "fs"],
    &["std", "net"],
    &["std", "os"],
    &["std", "process"],
    &["std", "thread"],
    &["std", "time", "Instant"],
    &["std", "time", "SystemTime"],
    &["tempfile"],
    &["tokio"],
    &["tokio_util"],
];
/// Calls that read a clock or draw randomness, by the last part of a path: `SystemTime::now`, `rand_core::OsRng`.
const IMPURE_ENDS: &[&str] = &[
    "now",
    "now_utc",
    "now_local",
    "OsRng",
    "thread_rng",
    "SystemRandom",
];
/// A crate that one module alone may name.
const OWNED: &[(&str, &str)] = &[("rusqlite", "store")];
/// Where `net` may commit past the account of the peer that causes it: there what is kept is replaced, and never more
/// of it.
const UNCOUNTED: &[&str] = &["intake", "session", "sessions", "watch"];
/// Names that say nothing: not for a file, nor as the last word of a type, nor for a function.
const EMPTY_NAMES: &[&str] = &[
    "manager", "handler", "service", "util", "utils", "common", "helper", "helpers", "info",
    "process",
];
/// The room of the running process is named after it.
const PROCESS: &str = "process";
/// Lints of what can panic: denied in the whole crate, because a panic ends the process and others choose what it
/// reads.
const PANICS: &[&str] = &[
    "arithmetic_side_effects",
    "as_conversions",
    "expect_used",
    "indexing_slicing",
    "string_slice",
];
/// The modules that may be left out of that.
const MAY_PANIC: &[&str] = &["cli", "daemon"];
/// Words that `::name` may follow without being part of its path.
const BEFORE_A_PATH: &[&str] = &[
    "as", "dyn", "else", "for", "if", "impl", "in", "let", "match", "mut", "return", "use",
    "where", "while",
];
const LINES_MAX: usize = 500;
/// The top level, but for hidden files: what a test or a person leaves there is not committed by accident.
const TOP: &[&str] = &[
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
    "benches",
    "certs",
    "config",
    "docs",
    "examples",
    "fuzz",
    "src",
    "systemd",
    "target",
    "tests",
];

#[test]
fn nothing_else_lies_at_the_top() {
    let entries = fs::read_dir(".").expect("the top level");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    let other: Vec<_> = names
        .filter(|name| !name.starts_with('.') && !TOP.contains(&name.as_str()))
        .collect();
    assert!(other.is_empty(), "{other:?} does not belong there");
}

#[test]
fn tidy() {
    let files = texts(&["src"]);
    assert!(files.len() > 20, "run where src/ is");
    let faults = check(&files);
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// The longest line of prose, in characters, in comments and pages.
const PROSE_MAX: usize = 120;
/// Meanings of words, which are shown to users as they stand.
const SHOWN: &[&str] = &["src/policy/role.rs", "src/receipt/kind.rs"];

/// The folders with Rust files.
const FOLDERS: &[&str] = &["src", "tests", "benches", "examples", "fuzz"];

/// The Rust files of these folders, with their texts; not of what was built there.
fn texts(folders: &[&str]) -> Vec<(PathBuf, String)> {
    let files = folders.iter().flat_map(|it| rust_files(Path::new(it)));
    let files = files.filter(|path| !path.components().any(|it| it.as_os_str() == "target"));
    let texts = files.map(|path| {
        let text = fs::read_to_string(&path).expect("listed a moment ago");
        (path, text)
    });
    texts.collect()
}

/// The modules of the program, without tests.
fn production(files: &[(PathBuf, String)]) -> Vec<Source> {
    let sources = files.iter().map(|(path, text)| Source::read(path, text));
    let is_test = |it: &Source| it.only_tests || it.module.iter().any(|part| part == "tests");
    sources.filter(|it| !is_test(it)).collect()
}

#[test]
fn doc_comments_do_not_begin_like_a_question() {
    let mut faults = Vec::new();
    for (path, text) in texts(FOLDERS) {
        let is_shown = SHOWN.iter().any(|it| path == Path::new(it));
        for (number, line) in (1..).zip(text.lines()).filter(|_| !is_shown) {
            let line = line.trim_start();
            let doc = line
                .strip_prefix("///")
                .or_else(|| line.strip_prefix("//!"));
            let first = doc.and_then(|doc| doc.split_whitespace().next());
            if first.is_some_and(|word| ["What", "Whatever", "Whoever"].contains(&word)) {
                faults.push(format!("{}:{number}: {line}", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn prose_is_wrapped() {
    let mut faults = Vec::new();
    let mut look = |path: &Path, number: usize, line: &str| {
        let is_table = line.trim_start_matches(['/', '!', ' ']).starts_with('|');
        if line.chars().count() > PROSE_MAX && !is_table && line.contains(' ') {
            faults.push(format!("{}:{number}: {line}", path.display()));
        }
    };
    for (path, text) in texts(FOLDERS) {
        let lines = (1..).zip(text.lines());
        for (number, line) in lines.filter(|(_, line)| line.trim_start().starts_with("//")) {
            look(&path, number, line);
        }
    }
    for path in pages(Path::new(".")) {
        let text = fs::read_to_string(&path).expect("listed a moment ago");
        let mut is_code = false;
        for (number, line) in (1..).zip(text.lines()) {
            is_code ^= line.trim_start().starts_with("```");
            if !is_code {
                look(&path, number, line);
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// The pages of the project: not of what it builds or installs.
fn pages(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" {
                found.extend(pages(&path));
            }
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
    found
}

fn check(files: &[(PathBuf, String)]) -> Vec<String> {
    let sources: Vec<_> = files
        .iter()
        .map(|(path, text)| Source::read(path, text))
        .collect();
    let tests: BTreeSet<_> = sources
        .iter()
        .flat_map(|source| source.test_files.iter().cloned())
        .collect();
    let mut faults = Vec::new();
    for source in sources
        .iter()
        .filter(|source| !source.only_tests && !tests.contains(&source.path))
    {
        source.check_shape(&mut faults);
        source.check_names(&mut faults);
        source.check_paths(&mut faults);
        source.check_counted(&mut faults);
        source.check_lints(&mut faults);
    }
    faults
}

/// A file without its tests.
struct Source {
    path: PathBuf,
    /// Where the file stands in the tree of modules: `src/policy/rules/sunset.rs` is policy, rules, sunset.
    module: Vec<String>,
    /// Tokens of production code, each with its line.
    tokens: Vec<(Token, usize)>,
    lines: usize,
    documented: bool,
    only_tests: bool,
    /// Files that this one declares under `#[cfg(test)]`.
    test_files: Vec<PathBuf>,
}

impl Source {
    fn read(path: &Path, text: &str) -> Self {
        let all = tokens(text);
        let only_tests = starts(&all, &["#", "!", "[", "cfg", "(", "test", ")", "]"]);
        let mut source = Self {
            path: path.to_owned(),
            module: module_of(path),
            tokens: Vec::with_capacity(all.len()),
            lines: text.lines().count(),
            documented: text.starts_with("//!"),
            only_tests,
            test_files: Vec::new(),
        };
        source.keep_production(&all);
        source
    }

    /// Leaves out every item under `#[cfg(test)]`, wherever it stands, and its lines.
    fn keep_production(&mut self, all: &[(Token, usize)]) {
        let mut at = 0;
        while at < all.len() {
            if let Some(length) = test_item(&all[at..]) {
                let item = &all[at..at + length];
                self.lines -= item[length - 1].1 - item[0].1 + 1;
                self.test_files.extend(self.declared(item));
                at += length;
            } else {
                self.tokens.push(all[at].clone());
                at += 1;
            }
        }
    }

    /// The files that `mod name;` at the end of this item can mean.
    fn declared(&self, item: &[(Token, usize)]) -> Vec<PathBuf> {
        let [
            ..,
            (Token::Word(module), _),
            (Token::Word(name), _),
            (Token::Mark(';'), _),
        ] = item
        else {
            return Vec::new();
        };
        if module != "mod" {
            return Vec::new();
        }
        let folder = self
            .module
            .iter()
            .fold(PathBuf::from("src"), |path, part| path.join(part));
        vec![
            folder.join(format!("{name}.rs")),
            folder.join(name).join("mod.rs"),
        ]
    }

    fn check_shape(&self, faults: &mut Vec<String>) {
        let file = self.path.display();
        if self.lines > LINES_MAX {
            faults.push(format!(
                "{file}: {} lines without tests, at most {LINES_MAX}: split it",
                self.lines
            ));
        }
        if !self.documented {
            faults.push(format!(
                "{file}:1: the file does not say what it is for: start with //!"
            ));
        }
        if let Some((_, line)) = self
            .tokens
            .iter()
            .find(|(token, _)| self.is_root() && *token == word("use"))
        {
            faults.push(format!(
                "{file}:{line}: lib.rs declares modules and re-exports nothing"
            ));
        }
        let unknown = self
            .module
            .first()
            .filter(|module| !LADDER.contains(&module.as_str()));
        if let Some(module) = unknown.filter(|_| !self.is_bin()) {
            faults.push(format!("{file}: `{module}` is not on the ladder"));
        }
    }

    fn check_names(&self, faults: &mut Vec<String>) {
        let file = self.path.display();
        if let Some(name) = self
            .module
            .last()
            .filter(|name| EMPTY_NAMES.contains(&name.as_str()) && *name != PROCESS)
        {
            faults.push(format!(
                "{file}: `{name}` says nothing about what is in the file"
            ));
        }
        for pair in self.tokens.windows(2) {
            let [(Token::Word(keyword), _), (Token::Word(name), line)] = pair else {
                continue;
            };
            let empty = match keyword.as_str() {
                "struct" | "enum" | "trait" | "type" => {
                    EMPTY_NAMES.contains(&last_word(name).as_str())
                }
                "fn" => EMPTY_NAMES.contains(&name.as_str()),
                "mod" => EMPTY_NAMES.contains(&name.as_str()) && name != PROCESS,
                _ => false,
            };
            if empty {
                faults.push(format!(
                    "{file}:{line}: `{name}` is a name that says nothing"
                ));
            }
        }
    }

    /// Growth that a peer causes is counted: `net` commits by `Session::commit`.
    fn check_counted(&self, faults: &mut Vec<String>) {
        let [first, .., file] = self.module.as_slice() else {
            return;
        };
        if first != "net" || UNCOUNTED.contains(&file.as_str()) {
            return;
        }
        for (at, (_, line)) in self.tokens.iter().enumerate() {
            let commits = matches!(self.word_at(at + 2), Some("commit" | "commit_holding"));
            if self.word_at(at) == Some("ledger") && self.mark_at(at + 1, '.') && commits {
                faults.push(format!(
                    "{}:{line}: commits past the account of the peer: use `Session::commit`",
                    self.path.display()
                ));
            }
        }
    }

    /// The lints against panics are denied once, at the root, and no other module is left out.
    fn check_lints(&self, faults: &mut Vec<String>) {
        let file = self.path.display();
        let deny = ["#", "!", "[", "cfg_attr", "(", "not", "(", "test", ")"];
        let mut is_denied = false;
        for at in 0..self.tokens.len() {
            let from = &self.tokens[at..];
            let is_inner = starts(from, &["#", "!", "["]);
            if !is_inner && !starts(from, &["#", "["]) {
                continue;
            }
            let Some(end) = closed(from, 1 + usize::from(is_inner)) else {
                continue;
            };
            let named = |lint: &&&str| from[..end].iter().any(|(token, _)| *token == word(lint));
            let named = PANICS.iter().filter(named).count();
            if self.is_root() && starts(from, &deny) {
                is_denied = named == PANICS.len();
                continue;
            }
            let module = module_at(&from[end + 1..]);
            let may = self.is_root() && module.is_some_and(|name| MAY_PANIC.contains(&name));
            if named > 0 && (is_inner || module.is_some()) && !may {
                let line = from[0].1;
                faults.push(format!("{file}:{line}: no whole module may panic"));
            }
        }
        let declares = self.tokens.iter().any(|(token, _)| *token == word("mod"));
        if self.is_root() && declares && !is_denied {
            faults.push(format!("{file}: does not deny what can panic"));
        }
    }

    fn check_paths(&self, faults: &mut Vec<String>) {
        let rung = LADDER
            .iter()
            .position(|rung| self.module.first().is_some_and(|first| first == rung));
        let Some(rung) = rung else {
            return;
        };
        self.each_path(|here, path, _| self.check_path(rung, here, path, faults));
    }

    /// Every path, the module that it stands in, and whether it is handed on (`pub use`).
    fn each_path(&self, mut to: impl FnMut(&[String], &UsedPath, bool)) {
        let mut inner = Vec::new();
        let mut depth = 0_usize;
        for at in 0..self.tokens.len() {
            match &self.tokens[at].0 {
                Token::Mark('{') => depth += 1,
                Token::Mark('}') => {
                    depth = depth.saturating_sub(1);
                    inner.retain(|(opened, _): &(usize, String)| *opened < depth);
                }
                Token::Mark(_) => {}
                Token::Word(name)
                    if self.word_at(at + 1).is_some()
                        && name == "mod"
                        && self.mark_at(at + 2, '{') =>
                {
                    inner.push((depth, self.word_at(at + 1).unwrap_or_default().to_owned()));
                }
                Token::Word(_) if self.continues_a_path(at) => {}
                Token::Word(_) => {
                    let here: Vec<_> = self
                        .module
                        .iter()
                        .chain(inner.iter().map(|(_, name)| name))
                        .cloned()
                        .collect();
                    let is_import = at > 0 && self.word_at(at - 1) == Some("use");
                    let is_public = at > 1
                        && (self.word_at(at - 2) == Some("pub") || self.mark_at(at - 2, ')'));
                    let mut paths = Vec::new();
                    self.path_tree(at, &[], &mut paths);
                    for path in paths {
                        to(&here, &path, is_import && is_public);
                    }
                }
            }
        }
    }

    fn check_path(&self, rung: usize, here: &[String], path: &UsedPath, faults: &mut Vec<String>) {
        let (file, line, me) = (self.path.display(), path.line, LADDER[rung]);
        let parts: Vec<_> = path.parts.iter().map(String::as_str).collect();
        if let Some(absolute) = absolute(here, &parts) {
            match absolute.first().copied() {
                Some("*") => faults.push(format!(
                    "{file}:{line}: `{me}` may not take in the whole crate"
                )),
                None if path.renamed => {
                    faults.push(format!("{file}:{line}: `{me}` may not rename the crate"));
                }
                Some(used) if LADDER[rung + 1..].contains(&used) => {
                    faults.push(format!(
                        "{file}:{line}: `{me}` may not use `{used}`: it is higher on the ladder"
                    ));
                }
                Some(_) | None => {}
            }
            return;
        }
        let shown = parts.join("::");
        if parts == ["std"] && path.renamed {
            faults.push(format!("{file}:{line}: `{me}` may not rename `std`"));
        }
        let begins = IMPURE.iter().any(|impure| parts.starts_with(impure));
        let whole = parts == ["std", "*"];
        let ends = parts.len() > 1 && parts.last().is_some_and(|last| IMPURE_ENDS.contains(last));
        if rung < PURE && (begins || whole || ends) && (parts.len() > 1 || path.imported) {
            faults.push(format!(
                "{file}:{line}: `{me}` is pure and may not use `{shown}`"
            ));
        }
        for (name, owner) in OWNED
            .iter()
            .filter(|(name, owner)| parts[0] == *name && me != *owner && rung >= PURE)
        {
            faults.push(format!(
                "{file}:{line}: `{me}` may not use `{name}`: only `{owner}` knows it"
            ));
        }
    }

    /// Every path that starts at this word, groups spread out.
    fn path_tree(&self, mut at: usize, before: &[String], paths: &mut Vec<UsedPath>) -> usize {
        let mut parts = before.to_vec();
        let line = self.tokens[at].1;
        let imported = at.checked_sub(1).and_then(|last| self.word_at(last)) == Some("use");
        loop {
            match self.tokens.get(at).map(|(token, _)| token) {
                Some(Token::Word(name)) => parts.push(name.clone()),
                Some(Token::Mark('*')) => parts.push("*".to_owned()),
                Some(Token::Mark('{')) => return self.path_group(at + 1, &parts, paths),
                Some(Token::Mark(_)) | None => break,
            }
            at += 1;
            if !(self.mark_at(at, ':') && self.mark_at(at + 1, ':')) {
                break;
            }
            at += 2;
        }
        let renamed = self.word_at(at) == Some("as");
        if parts.len() > 1 && parts.last().is_some_and(|last| last == "self") {
            parts.pop();
        }
        if !parts.is_empty() {
            paths.push(UsedPath {
                parts,
                line,
                renamed,
                imported,
            });
        }
        at
    }

    /// The members of `{a, b::c}`; gives the place after the brace.
    fn path_group(&self, mut at: usize, before: &[String], paths: &mut Vec<UsedPath>) -> usize {
        while at < self.tokens.len() && !self.mark_at(at, '}') {
            let member = matches!(self.tokens[at].0, Token::Word(_) | Token::Mark('*' | '{'));
            if member && self.word_at(at) != Some("as") {
                at = self.path_tree(at, before, paths);
            } else if member {
                at += 2;
            } else {
                at += 1;
            }
        }
        at + 1
    }

    /// Whether the word here belongs to a path, or a group of one, that began further left.
    fn continues_a_path(&self, at: usize) -> bool {
        at >= 3
            && self.mark_at(at - 1, ':')
            && self.mark_at(at - 2, ':')
            && self
                .word_at(at - 3)
                .is_some_and(|before| !BEFORE_A_PATH.contains(&before))
    }

    fn word_at(&self, at: usize) -> Option<&str> {
        match self.tokens.get(at) {
            Some((Token::Word(name), _)) => Some(name),
            Some((Token::Mark(_), _)) | None => None,
        }
    }

    fn mark_at(&self, at: usize, mark: char) -> bool {
        self.tokens
            .get(at)
            .is_some_and(|(token, _)| *token == Token::Mark(mark))
    }

    fn is_root(&self) -> bool {
        self.path == Path::new("src/lib.rs")
    }

    fn is_bin(&self) -> bool {
        self.path.starts_with("src/bin")
    }
}

/// A path as it is written, with what follows from where it stands.
struct UsedPath {
    parts: Vec<String>,
    line: usize,
    renamed: bool,
    imported: bool,
}

/// Where a path of this crate leads, seen from its root; `None` if it is not of this crate.
fn absolute<'a>(here: &'a [String], parts: &[&'a str]) -> Option<Vec<&'a str>> {
    let mut from: Vec<_> = here.iter().map(String::as_str).collect();
    let mut rest = parts;
    match rest.first() {
        Some(&"crate") => {
            from.clear();
            rest = &rest[1..];
        }
        Some(&"self") => rest = &rest[1..],
        Some(&"super") => {}
        Some(_) | None => return None,
    }
    while let Some((&"super", after)) = rest.split_first() {
        from.pop();
        rest = after;
    }
    from.extend(rest);
    Some(from)
}

fn module_of(path: &Path) -> Vec<String> {
    let inside = path.strip_prefix("src").unwrap_or(path).with_extension("");
    let parts = inside
        .iter()
        .filter_map(|part| part.to_str())
        .map(str::to_owned);
    parts
        .filter(|part| part != "mod" && part != "lib")
        .collect()
}

/// How many tokens an item under `#[cfg(test)]` takes, if one starts here.
fn test_item(from: &[(Token, usize)]) -> Option<usize> {
    const ITEMS: &[&str] = &[
        "async",
        "const",
        "enum",
        "extern",
        "fn",
        "impl",
        "macro_rules",
        "mod",
        "pub",
        "static",
        "struct",
        "trait",
        "type",
        "use",
    ];
    let gate = ["#", "[", "cfg", "(", "test", ")", "]"];
    if !starts(from, &gate) {
        return None;
    }
    let mut at = gate.len();
    while starts(&from[at..], &["#", "["]) {
        at = closed(from, at + 1)? + 1;
    }
    let Some((Token::Word(first), _)) = from.get(at) else {
        return None;
    };
    if !ITEMS.contains(&first.as_str()) {
        return None;
    }
    while let Some((token, _)) = from.get(at) {
        match token {
            Token::Mark(';') => return Some(at + 1),
            Token::Mark('{') => {
                let end = closed(from, at)? + 1;
                let brace_of_use = first == "use";
                return Some(end + usize::from(brace_of_use));
            }
            Token::Mark('(' | '[') => at = closed(from, at)? + 1,
            Token::Mark(_) | Token::Word(_) => at += 1,
        }
    }
    None
}

/// The module that an item declares, past its attributes and who may see it.
fn module_at(mut item: &[(Token, usize)]) -> Option<&str> {
    while starts(item, &["#", "["]) {
        item = &item[closed(item, 1)? + 1..];
    }
    if starts(item, &["pub"]) {
        item = &item[1..];
    }
    if starts(item, &["("]) {
        item = &item[closed(item, 0)? + 1..];
    }
    match item {
        [(Token::Word(keyword), _), (Token::Word(name), _), ..] if keyword == "mod" => Some(name),
        _ => None,
    }
}

/// The place of the bracket that closes the one here.
fn closed(from: &[(Token, usize)], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, (token, _)) in from.iter().enumerate().skip(open) {
        match token {
            Token::Mark('(' | '[' | '{') => depth += 1,
            Token::Mark(')' | ']' | '}') => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            Token::Mark(_) | Token::Word(_) => {}
        }
    }
    None
}

fn starts(from: &[(Token, usize)], texts: &[&str]) -> bool {
    from.len() >= texts.len()
        && from
            .iter()
            .zip(texts)
            .all(|((token, _), text)| match token {
                Token::Word(name) => name == text,
                Token::Mark(mark) => text.chars().eq([*mark]),
            })
}

fn word(text: &str) -> Token {
    Token::Word(text.to_owned())
}

/// The last word of a name in camel case, in lower case.
fn last_word(name: &str) -> String {
    let start = name.rfind(|c: char| c.is_ascii_uppercase()).unwrap_or(0);
    name[start..].to_ascii_lowercase()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .expect("src exists")
        .map(|entry| entry.expect("readable").path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let nested = folders.iter().flat_map(|folder| rust_files(folder));
    let mut all: Vec<_> = files
        .into_iter()
        .filter(|file| file.extension().is_some_and(|e| e == "rs"))
        .chain(nested)
        .collect();
    all.sort();
    all
}
