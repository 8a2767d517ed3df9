//! Commands that are named to people: they are for the same daemon as the one that names them.

use std::borrow::Cow;
use std::path::Path;
use std::sync::OnceLock;

/// The options that name the daemon; none where the standard one is meant.
static OPTIONS: OnceLock<String> = OnceLock::new();

/// Keeps the options of this command line that name the daemon.
pub(crate) fn remember(options: [(&str, Option<&Path>); 3]) {
    let given = options.into_iter().filter_map(|(name, path)| {
        let path = quoted(path?);
        Some(format!(" --{name} {path}"))
    });
    // A process has one command line.
    drop(OPTIONS.set(given.collect()));
}

/// The text, with those options in each command of it that has none.
pub(crate) fn here(text: &str) -> Cow<'_, str> {
    match OPTIONS.get() {
        Some(options) if !options.is_empty() => with_options(text, options).into(),
        _ => text.into(),
    }
}

fn with_options(text: &str, options: &str) -> String {
    const NAME: &str = "rogatory ";
    if ["--home", "--config", "--socket"]
        .iter()
        .any(|it| text.contains(it))
    {
        return text.to_owned();
    }
    let mut parts = text.split(NAME);
    let mut all = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_command = part.starts_with(|c: char| c.is_ascii_lowercase());
        let is_word = all.is_empty() || all.ends_with([' ', '(', '`']);
        all.push_str(NAME.trim_end());
        if is_command && is_word {
            all.push_str(options);
        }
        all.push(' ');
        all.push_str(part);
    }
    all
}

/// A path as a word of a shell command.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+,=@:".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_for_the_same_daemon() {
        for (text, want) in [
            ("rogatory status", "rogatory --home ie status"),
            (
                "compare, then: rogatory peer accept de; or rogatory check",
                "compare, then: rogatory --home ie peer accept de; or rogatory --home ie check",
            ),
            (
                "rogatory --version this one's",
                "rogatory --version this one's",
            ),
            (
                "start rogatory serve --home de",
                "start rogatory serve --home de",
            ),
            ("libexec/rogatory audit", "libexec/rogatory audit"),
            ("nothing to do", "nothing to do"),
        ] {
            assert_eq!(with_options(text, " --home ie"), want);
        }
    }

    #[test]
    fn words_of_a_shell() {
        for (path, word) in [
            ("./ie", "./ie"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(Path::new(path)), word);
        }
    }
}
