//! Characters that do more than show themselves, by their general category (Unicode Standard, table 4-4).

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

/// Whether this character can forge what a screen or a log shows: control characters (with them every escape sequence),
/// line and paragraph separators, bidirectional and other format characters.
pub fn is_deceptive(c: char) -> bool {
    if c == ' ' || c.is_ascii_graphic() {
        return false;
    }
    matches!(
        c.general_category(),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    )
}

/// Whether nobody can rely on this character to show itself: a deceptive one, or one without a meaning that everybody
/// shares.
pub fn is_unsafe(c: char) -> bool {
    is_deceptive(c)
        || matches!(
            c.general_category(),
            GeneralCategory::PrivateUse | GeneralCategory::Surrogate | GeneralCategory::Unassigned
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shows_itself_is_safe() {
        for c in "aZ ~é漢😀\u{300}".chars() {
            assert!(!is_deceptive(c) && !is_unsafe(c), "{c:?}");
        }
        for c in "\0\n\t\u{1b}\u{7f}\u{85}\u{ad}\u{200e}\u{202e}\u{2028}\u{2029}\u{feff}".chars() {
            assert!(is_deceptive(c) && is_unsafe(c), "{c:?}");
        }
        for c in "\u{e000}\u{378}".chars() {
            assert!(!is_deceptive(c) && is_unsafe(c), "{c:?}");
        }
    }
}
