//! The local API of a real daemon: every call, with each field, query value and part of its path at the ends.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rogatory::api::client::encode;
use rogatory::api::types::ApiError;
use serde_json::{Value, json};

use crate::documents::{Document, Mutant, Tally, is_chosen};
use crate::oddities;
use crate::peer::{ended, pid_of};
use crate::spelling::{Change, spelled};
use crate::table::{Call, Names, Needs, calls, wish};
use crate::values::tokens;
use crate::victim::{HOSTILE, Victim, deliver};

/// A call is answered within the longest wait that one can ask for, and then some.
const ANSWER: Duration = Duration::from_secs(90);
/// One in so many odd documents goes to each call.
const ODD: u64 = 12;
/// A path or query that is longer is refused by the HTTP library, without a word.
const URI_MAX: usize = 8 << 10;

/// An answer: its status, and the body.
struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl Answer {
    /// The refusal, if it has the form that all have.
    fn refusal(&self) -> Option<ApiError> {
        serde_json::from_slice(&self.body).ok()
    }

    fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        text.chars().take(300).collect()
    }

    fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

struct Api {
    socket: PathBuf,
    names: Names,
    age_file: Vec<u8>,
}

impl Api {
    /// Asks on a connection of its own.
    fn ask(&self, method: &str, target: &str, body: &[u8]) -> Result<Answer, String> {
        self.ask_with(method, target, "", body)
    }

    fn ask_with(
        &self,
        method: &str,
        target: &str,
        more: &str,
        body: &[u8],
    ) -> Result<Answer, String> {
        let mut stream = UnixStream::connect(&self.socket).map_err(|e| e.to_string())?;
        let limit = stream.set_read_timeout(Some(ANSWER));
        limit.map_err(|e| e.to_string())?;
        let length = body.len();
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: rogatory\r\nContent-Type: application/json\r\n{more}Content-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        // An answer may come before all is said.
        drop(stream.write_all(head.as_bytes()));
        drop(stream.write_all(body));
        let mut whole = Vec::new();
        match stream.read_to_end(&mut whole) {
            Err(e) if whole.is_empty() => return Err(format!("no answer: {e}")),
            Ok(_) | Err(_) => {}
        }
        let end = whole.windows(4).position(|it| it == b"\r\n\r\n");
        let end = end.ok_or("no head of an answer")?;
        let status = whole.get(9..12).and_then(|it| std::str::from_utf8(it).ok());
        let status = status.and_then(|it| it.parse().ok()).ok_or("no status")?;
        let body = whole.split_off(end + 4);
        Ok(Answer { status, body })
    }

    /// The target of a call, with what it needs made anew.
    fn target(&self, call: &Call) -> String {
        let parameter = match call.needs {
            Needs::Nothing => call.parameter.clone(),
            Needs::Grant => self.grant(),
            Needs::Spooled => {
                let grant = self.grant();
                let path = format!("/v1/seals/{grant}/package");
                let spooled = self.ask("PUT", &path, &self.age_file).expect("an answer");
                assert_eq!(spooled.status, 200, "{}", spooled.text());
                grant
            }
            Needs::Opening => self.opening(),
        };
        with_parameter(call.path, &parameter)
    }

    fn grant(&self) -> String {
        let mut wish = wish();
        for field in ["offences", "item_terms"] {
            wish.as_object_mut().map(|fields| fields.remove(field));
        }
        wish["terms"] = json!({
            "instrument": "EIO", "onward": "prohibited", "purposes": ["trial"], "retain_until": "2090-12-31", "use_report": false,
        });
        let answer = self.ask("POST", "/v1/seals", wish.to_string().as_bytes());
        let answer = answer.expect("an answer");
        let grant = answer.value()["grant"].as_str().map(str::to_owned);
        grant.unwrap_or_else(|| panic!("{}", answer.text()))
    }

    /// Ends what a call was granted, of which there can be only so many.
    fn end(&self, answer: &Answer) {
        let value = answer.value();
        let all = value.as_array().cloned().unwrap_or_else(|| vec![value]);
        for granted in &all {
            for (field, path) in [("opening", "openings"), ("grant", "seals")] {
                if let Some(name) = granted[field].as_str() {
                    drop(self.ask("DELETE", &format!("/v1/{path}/{name}"), &[]));
                }
            }
        }
    }

    /// Ends what was made for a call.
    fn end_target(&self, call: &Call, target: &str) {
        if call.needs != Needs::Nothing {
            let parts: Vec<_> = target.split(['/', '?']).take(4).collect();
            drop(self.ask("DELETE", &parts.join("/"), &[]));
        }
    }

    fn opening(&self) -> String {
        let path = format!("/v1/packages/{}/openings", self.names.spare);
        let wish = json!({"purpose": "trial", "justification": "a hearing"}).to_string();
        let answer = self.ask("POST", &path, wish.as_bytes()).expect("an answer");
        let opening = answer.value()["opening"].as_str().map(str::to_owned);
        opening.unwrap_or_else(|| panic!("{}", answer.text()))
    }
}

fn with_parameter(path: &str, parameter: &str) -> String {
    match (path.find('{'), path.find('}')) {
        (Some(from), Some(to)) => format!("{}{parameter}{}", &path[..from], &path[to + 1..]),
        (Some(_) | None, _) => path.to_owned(),
    }
}

fn queried(query: &[(&str, String)]) -> String {
    let pairs = query.iter().map(|(key, text)| format!("{key}={text}"));
    let pairs: Vec<_> = pairs.collect();
    if pairs.is_empty() {
        String::new()
    } else {
        format!("?{}", pairs.join("&"))
    }
}

/// Any answer but a refusal without a word, or one that says that the daemon has failed.
fn judge(tally: &mut Tally, what: &str, answer: &Result<Answer, String>) {
    let wrong = match answer {
        Err(why) => Some(why.clone()),
        Ok(answer) if answer.status < 400 => None,
        Ok(answer) => match answer.refusal() {
            None => Some(format!("{} {}", answer.status, answer.text())),
            Some(refusal) if refusal.error == "internal" => Some(refusal.message),
            Some(refusal) => (refusal.code > 12).then_some(refusal.error),
        },
    };
    tally
        .wrong
        .extend(wrong.map(|wrong| format!("{what}: {wrong}")));
}

/// The fields of this place that the daemon itself names when it refuses one that it does not know.
fn named_by_daemon(answer: &Answer) -> Option<BTreeSet<String>> {
    let text = String::from_utf8_lossy(&answer.body);
    let (_, rest) = text.split_once("unknown field `zz`, ")?;
    let (list, _) = rest.split_once(" at line").unwrap_or((rest, ""));
    Some(
        list.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect(),
    )
}

/// Fails where the daemon knows a field that the example has not.
fn assert_fields(api: &Api, call: &Call, body: &Value, at: &str) {
    let Some(Value::Object(fields)) = body.pointer(at) else {
        return;
    };
    let bytes = spelled(body, at, &Change::More(r#""zz":1"#));
    let target = api.target(call);
    let answer = api.ask(call.method, &target, &bytes);
    let answer = answer.expect("an answer");
    api.end_target(call, &target);
    let named = named_by_daemon(&answer);
    let named = named.unwrap_or_else(|| panic!("{} {at}: {}", call.name(), answer.text()));
    let known: BTreeSet<_> = fields.keys().cloned().collect();
    assert_eq!(named, known, "{} {at}", call.name());
}

fn assert_query(api: &Api, call: &Call) {
    let mut query = call.query.clone();
    query.push(("zz", "1".to_owned()));
    let target = api.target(call) + &queried(&query);
    let answer = api.ask(call.method, &target, &[]).expect("an answer");
    let named = named_by_daemon(&answer);
    let named = named.unwrap_or_else(|| panic!("{}: {}", call.name(), answer.text()));
    let mut known: BTreeSet<_> = call
        .query
        .iter()
        .map(|(key, _)| (*key).to_owned())
        .collect();
    // No query can hold a list of objects.
    known.extend(
        named
            .contains("item_terms")
            .then(|| "item_terms".to_owned()),
    );
    assert_eq!(named, known, "{}", call.name());
}

/// A call with this body, and the end of whatever it was granted.
fn said(api: &Api, call: &Call, (what, body): (&str, &[u8]), tally: &mut Tally) {
    let target = api.target(call);
    let answer = api.ask(call.method, &target, body);
    judge(tally, what, &answer);
    if let Ok(answer) = answer {
        api.end(&answer);
    }
    api.end_target(call, &target);
}

fn bodies(api: &Api, call: &Call, tally: &mut Tally) {
    let Some(body) = &call.body else {
        return;
    };
    let family = call.name();
    let document = Document::inferred(&family, body.clone());
    for (_, at) in document.places() {
        assert_fields(api, call, body, &at);
    }
    for mutant in document.mutants() {
        tally.add(&family, &mutant);
        said(api, call, (&mutant.what, &mutant.bytes), tally);
    }
    tally.assert_all(&family, &document.schema);
    for (number, bytes) in oddities::all().into_iter().enumerate() {
        let what = format!("{family} with oddity {number}");
        if is_chosen(&what, ODD) {
            tally.values += 1;
            said(api, call, (&what, &bytes), tally);
        }
    }
}

/// Values for the place of a text that stands in a path or a query.
fn plain_values() -> Vec<(String, String)> {
    let number = tokens(&Value::Null, &Value::from(7)).into_iter();
    let text = tokens(&Value::Null, &Value::from("2026-11-23")).into_iter();
    let inner = |token: &[u8]| {
        let quoted = token
            .strip_prefix(b"\"")
            .and_then(|it| it.strip_suffix(b"\""));
        let bytes = quoted.unwrap_or(token);
        let letters = bytes.iter().map(|byte| format!("%{byte:02X}"));
        let is_plain = bytes
            .iter()
            .all(|it| it.is_ascii_alphanumeric() || *it == b'-');
        if is_plain {
            encode(&String::from_utf8_lossy(bytes))
        } else {
            letters.collect()
        }
    };
    let all = number.chain(text);
    all.map(|(what, token)| (what, inner(&token)))
        .filter(|(_, text)| text.len() < URI_MAX)
        .collect()
}

/// Each value in the path, and in each part of the query.
fn targets(api: &Api, call: &Call, values: &[(String, String)], tally: &mut Tally) {
    let family = call.name();
    let mut ask = |field: &str, what: &str, target: &str| {
        let mutant = Mutant {
            field: field.to_owned(),
            what: format!("{family}: {field} is {what}"),
            bytes: Vec::new(),
        };
        tally.add(&family, &mutant);
        let body = call.body.as_ref().map(Value::to_string).unwrap_or_default();
        let answer = api.ask(call.method, target, body.as_bytes());
        judge(tally, &mutant.what, &answer);
        if let Ok(answer) = answer {
            api.end(&answer);
        }
    };
    for (what, text) in values {
        if call.path.contains('{') && !text.is_empty() {
            let target = with_parameter(call.path, text) + &queried(&call.query);
            ask("the path", what, &target);
        }
        for at in 0..call.query.len() {
            let mut query = call.query.clone();
            query[at].1.clone_from(text);
            let target = with_parameter(call.path, &call.parameter) + &queried(&query);
            ask(query[at].0, what, &target);
        }
    }
}

/// The part of a plaintext that is asked for.
fn ranges(api: &Api, tally: &mut Tally) {
    let opening = api.opening();
    for (what, token) in tokens(&Value::Null, &Value::from(7)) {
        let Ok(token) = std::str::from_utf8(&token) else {
            continue;
        };
        if token.len() > URI_MAX {
            continue;
        }
        for range in [
            format!("{token}-9"),
            format!("0-{token}"),
            format!("{token}-{token}"),
            format!("-{token}"),
        ] {
            tally.values += 1;
            let target = format!("/v1/openings/{opening}/plaintext");
            let more = format!("Range: bytes={range}\r\n");
            let answer = api.ask_with("GET", &target, &more, &[]);
            judge(tally, &format!("bytes {what} of a plaintext"), &answer);
        }
    }
}

fn api(victim: &Victim) -> Api {
    let folder = victim.folder();
    for _ in 0..2 {
        deliver(folder, "at", "ie").expect("an honest package");
    }
    let listed: Value =
        serde_json::from_slice(&victim.ask("ie", &["package", "list", "--json"])).expect("JSON");
    let ids = listed.as_array().into_iter().flatten();
    let ids: Vec<_> = ids.filter_map(|row| row["id"].as_str()).collect();
    let [held, spare] = ids[..] else {
        panic!("{listed}");
    };
    let (alias, _) = HOSTILE[0];
    let read = |name: &str| {
        std::fs::read(folder.join(format!("{alias}/{alias}.{name}"))).expect("a paper")
    };
    let recipient =
        rogatory::identity::Card::open(&std::fs::read(folder.join("at/at.card")).expect("a card"));
    let (card, _) = recipient.expect("a card");
    let (header, payload) = crate::attack::sealed(&card.age[0].parse().expect("a recipient"));
    Api {
        socket: folder.join("ie/api.sock"),
        names: Names {
            held: held.to_owned(),
            spare: spare.to_owned(),
            card: String::from_utf8(read("card")).expect("a note"),
            crl: STANDARD.encode(read("crl")),
        },
        age_file: [header, payload].concat(),
    }
}

#[test]
fn no_field_of_a_call_ends_the_daemon() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut victim = Victim::start(folder.path(), &[]);
    let pid = pid_of(&victim);
    let api = api(&victim);
    let mut tally = Tally::default();
    let values = plain_values();
    ranges(&api, &mut tally);
    for call in calls(&api.names) {
        if !call.query.is_empty() {
            assert_query(&api, &call);
        }
        bodies(&api, &call, &mut tally);
        targets(&api, &call, &values, &mut tally);
    }
    let (ends, words) = ended(&mut victim, &pid);
    tally.wrong.extend(words);
    tally.finish("the local API", ends);
}
