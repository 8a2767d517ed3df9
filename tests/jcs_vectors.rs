//! The vectors of RFC 8785 that its authors publish: our spelling of each is theirs, and we read back exactly that.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use rogatory::base::json;
use serde_json::Value;

const FOLDER: &str = "../shared/vectors/jcs";

fn check(name: &str) -> Result<(), String> {
    let read = |kind: &str| {
        fs::read(Path::new(FOLDER).join(kind).join(name)).map_err(|e| format!("{kind}/{name}: {e}"))
    };
    let (input, output) = (read("input")?, read("output")?);
    let value: Value = serde_json::from_slice(&input).map_err(|e| e.to_string())?;
    if json::canonical(&value) != output {
        return Err("another spelling than the published one".to_owned());
    }
    // Fractions are refused in everything that we read; all else is read in its one spelling, and only in that.
    let fractions = name == "values.json";
    if json::parse_canonical::<Value>(&output, 4096).is_ok() == fractions {
        return Err("the published spelling was judged wrongly".to_owned());
    }
    if input != output && json::parse_canonical::<Value>(&input, 4096).is_ok() {
        return Err("another spelling was read".to_owned());
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is the report of the test")]
fn main() -> ExitCode {
    let Ok(files) = fs::read_dir(Path::new(FOLDER).join("input")) else {
        println!("test jcs_vectors ... ignored ({FOLDER} is not here)");
        println!("test result: ok. 0 passed; 0 failed; 1 ignored");
        return ExitCode::SUCCESS;
    };
    let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
    let mut names: Vec<_> = names.collect();
    names.sort();
    let mut failed = 0;
    for name in &names {
        match check(name) {
            Ok(()) => println!("test {name} ... ok"),
            Err(why) => {
                failed += 1;
                println!("test {name} ... FAILED: {why}");
            }
        }
    }
    let passed = names.len() - failed;
    let verdict = if failed == 0 && passed > 0 {
        "ok"
    } else {
        "FAILED"
    };
    println!("test result: {verdict}. {passed} passed; {failed} failed; 0 ignored");
    ExitCode::from(u8::from(verdict != "ok"))
}
