//! Why a command ends without success: one exit code, one stable word, one sentence, one thing to do next.

use serde_json::{Value, json};

use crate::cli::hint;

/// A command's failure. Exit codes are stable: 1 failed · 2 usage · 3 configuration · 4 refused by policy or law · 5
/// temporary · 6 trust · 7 verification · 8 no such object · 9 nothing to do · 10 daemon not running · 11 storage · 12
/// timed out, work goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit code of the program, 1 to 12; 128 + n where signal n has ended it.
    pub code: u8,
    /// A stable kebab-case word for machines.
    pub error: String,
    /// The event and its subject.
    pub message: String,
    /// The next step, where there is one.
    pub next: Option<String>,
    /// More for machines: the rule, term, reason and clause of a denial.
    pub details: Option<Box<Value>>,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident => $code:literal;)*) => {$(
        $(#[$doc])*
        pub fn $name(error: impl Into<String>, message: impl Into<String>) -> Self {
            Self { code: $code, error: error.into(), message: message.into(), next: None, details: None }
        }
    )*};
}

impl Failure {
    kinds! {
        /// Exit code 1: failed for a reason that no other code names.
        failed => 1;
        /// Exit code 2: the command line does not make sense.
        usage => 2;
        /// Exit code 3: the configuration is invalid.
        configuration => 3;
        /// Exit code 4: policy or law refuses; `error` is the reason code.
        refused => 4;
        /// Exit code 5: temporary, worth another try (peer unreachable, busy).
        temporary => 5;
        /// Exit code 6: a peer or key is unknown, revoked or expired.
        trust => 6;
        /// Exit code 7: verification failed: tampering or mismatch.
        verification => 7;
        /// Exit code 8: no such object.
        absent => 8;
        /// Exit code 9: nothing to do, or not due yet.
        nothing => 9;
        /// Exit code 10: the daemon is not running.
        not_running => 10;
        /// Exit code 11: storage or the log cannot be written.
        storage => 11;
        /// Exit code 12: timed out waiting; the work goes on.
        waiting => 12;
    }

    /// The same failure with the thing to do next.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// The failure as the one JSON object that `--json` prints.
    pub fn to_json(&self) -> Value {
        let mut object = json!({
            "code": self.code,
            "error": self.error,
            "message": self.message,
            "next": self.next.as_deref().map(hint::here),
            "type": "error",
        });
        if let Some(details) = &self.details {
            object["denial"] = (**details).clone();
        }
        object
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_exit_code() {
        let kinds: [fn(&str, &str) -> Failure; 12] = [
            |e, m| Failure::failed(e, m),
            |e, m| Failure::usage(e, m),
            |e, m| Failure::configuration(e, m),
            |e, m| Failure::refused(e, m),
            |e, m| Failure::temporary(e, m),
            |e, m| Failure::trust(e, m),
            |e, m| Failure::verification(e, m),
            |e, m| Failure::absent(e, m),
            |e, m| Failure::nothing(e, m),
            |e, m| Failure::not_running(e, m),
            |e, m| Failure::storage(e, m),
            |e, m| Failure::waiting(e, m),
        ];
        for (code, kind) in (1..).zip(kinds) {
            assert_eq!(kind("a-word", "a sentence").code, code);
        }
    }

    #[test]
    fn the_json_form_is_complete() {
        let failure = Failure::absent("no-such-package", "no package 00112233").next("list them");
        assert_eq!(
            failure.to_json().to_string(),
            r#"{"code":8,"error":"no-such-package","message":"no package 00112233","next":"list them","type":"error"}"#
        );
        assert_eq!(failure.to_string(), "no package 00112233");
    }
}
