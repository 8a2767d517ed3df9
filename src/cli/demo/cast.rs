//! The two authorities, and what the steps share.

use std::time::Duration;

use serde_json::Value;

use crate::cli::demo::stage::Authority;
use crate::cli::failure::Failure;

pub(super) const SENDER: Authority = Authority {
    alias: "ie",
    id: "mla.example.ie",
    name: "Department of Justice, Central Authority",
    country: "IE",
};
pub(super) const RECEIVER: Authority = Authority {
    alias: "de",
    id: "bfj.example.de",
    name: "Bundesamt für Justiz",
    country: "DE",
};
pub(super) const PERMITTED: &str = "prosecution";
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn text_of(value: &Value, field: &str) -> Result<String, Failure> {
    let text = value.get(field).and_then(Value::as_str);
    text.map(str::to_owned)
        .ok_or_else(|| Failure::failed("no-json", format!("the answer has no field {field:?}")))
}
