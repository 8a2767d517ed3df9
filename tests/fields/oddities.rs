//! Documents that are odd JSON, or nearly JSON: what readers of JSON are known to disagree on, made by rule.

/// Numbers, and what looks like one.
const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "0.0",
    "-0.0",
    "0e0",
    "0e1",
    "0E-1",
    "1e1",
    "1E1",
    "1e+1",
    "1e01",
    "1.0e1",
    "1.",
    ".1",
    "-.1",
    "-",
    "+1",
    "--1",
    "00",
    "01",
    "-01",
    "1e",
    "1e+",
    "1e-",
    "e1",
    "1e1.5",
    "1.2.3",
    "1_000",
    "1,000",
    "0x1",
    "0b1",
    "0o7",
    "1f",
    "1n",
    "1e308",
    "1e309",
    "-1e309",
    "1e-324",
    "1e99999999999",
    "0.1e-99999999999",
    "2.2250738585072011e-308",
    "123456789012345678901234567890",
    "-123456789012345678901234567890",
    "9007199254740993",
    "9007199254740991.5",
    "-9223372036854775808",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775809",
    "NaN",
    "-NaN",
    "nan",
    "Infinity",
    "-Infinity",
    "inf",
    "\u{ff11}",
    "1\u{660}",
    "0 1",
    "1 ",
];
/// Words, and what looks like one.
const WORDS: &[&str] = &[
    "null",
    "true",
    "false",
    "nul",
    "nulll",
    "tru",
    "fals",
    "True",
    "NULL",
    "undefined",
    "None",
    "nil",
    "yes",
    "'a'",
    "`a`",
    "a",
    "\"a",
    "a\"",
    "\"\"\"",
    "\"a\"\"b\"",
    "/**/1",
    "1//x",
    "#1",
    "<!--",
    "$",
    "@",
    "\\u0031",
    "\u{201c}a\u{201d}",
];
/// Faults of brackets, commas and colons.
const SHAPES: &[&str] = &[
    "",
    " ",
    "[",
    "]",
    "{",
    "}",
    "[[",
    "]]",
    "{}}",
    "[]]",
    "[}",
    "{]",
    "[1,]",
    "[,1]",
    "[,]",
    "[1,,2]",
    "[1 2]",
    "[1;2]",
    "[1:2]",
    "[\"a\":1]",
    "{\"a\"}",
    "{\"a\":}",
    "{:1}",
    "{\"a\":1,}",
    "{,\"a\":1}",
    "{,}",
    "{\"a\" 1}",
    "{\"a\",1}",
    "{\"a\"::1}",
    "{\"a\":1 \"b\":2}",
    "{\"a\":1,,\"b\":2}",
    "{a:1}",
    "{'a':1}",
    "{1:1}",
    "{null:1}",
    "{[]:1}",
    "{\"a\":1}{\"a\":1}",
    "[1][1]",
    "1 1",
    "{\"a\":1}x",
    "[1]\0",
    ",",
    ":",
    "\"a\":1",
    "{\"a\":1,\"a\":1}",
    "{\"a\":1,\"\\u0061\":2}",
    "{\"\":1,\"\":2}",
    "{\"a\":{\"b\":1,\"b\":1}}",
    "[{\"a\":1,\"a\":2}]",
    "{\"\\u0000\":1}",
    "{\"\\ud800\":1}",
    "{\"__proto__\":{}}",
    "{\"$ref\":\"#\"}",
    "{\"b\":1,\"a\":1}",
    "{\"\u{e9}\":1,\"e\u{301}\":2}",
];
/// Bytes that are no UTF-8, or ought not to be.
const BYTES: &[&[u8]] = &[
    b"\x80",
    b"\xbf",
    b"\xc0\x80",
    b"\xc1\xbf",
    b"\xc3",
    b"\xc3\x28",
    b"\xe0\x80\x80",
    b"\xe2\x82",
    b"\xe2\x28\xa1",
    b"\xed\xa0\x80",
    b"\xed\xb0\x80",
    b"\xef\xbf\xbe",
    b"\xef\xbf\xbf",
    b"\xf0\x80\x80\x80",
    b"\xf0\x9f\x98",
    b"\xf4\x90\x80\x80",
    b"\xf5\x80\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\xfe",
    b"\xff",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xe2\x80\xa8",
    b"\x7f",
];
/// Characters that are no space in JSON, and those that are.
const SPACES: &[&str] = &[
    " ", "\t", "\n", "\r", "\u{b}", "\u{c}", "\0", "\u{85}", "\u{a0}", "\u{2028}", "\u{2029}",
    "\u{3000}", "\u{feff}",
];

/// All of them.
pub(crate) fn all() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for shape in SHAPES {
        all.push(shape.as_bytes().to_vec());
    }
    for token in NUMBERS.iter().chain(WORDS) {
        all.push(token.as_bytes().to_vec());
        all.push(format!("[{token}]").into_bytes());
        all.push(format!("{{\"v\":{token}}}").into_bytes());
    }
    let quoted = |inner: &[u8]| [b"{\"v\":\"", inner, b"\"}"].concat();
    for byte in 0..0x20_u8 {
        all.push(quoted(&[byte]));
        all.push(quoted(format!("\\u{byte:04X}").as_bytes()));
    }
    for letter in b' '..=b'~' {
        all.push(quoted(&[b'\\', letter]));
    }
    for escape in [
        r"\u",
        r"\u0",
        r"\u00",
        r"\u000",
        r"\uZZZZ",
        r"\u+041",
        r"\ud800",
        r"\udc00",
        r"\ud800\ud800",
        r"\ud800x",
        r"\ud800\n",
        r"\ud800\u0041",
        r"\ud83d\ude00",
        r"\udc00\ud800",
        r"\uFFFF",
        r"\uFEFF",
        r"\u202E",
        r"\U0001F600",
    ] {
        all.push(quoted(escape.as_bytes()));
        all.push([b"{\"", escape.as_bytes(), b"\":1}"].concat());
    }
    for bytes in BYTES {
        all.push(quoted(bytes));
        all.push(bytes.to_vec());
        all.push([bytes, b"{}".as_slice()].concat());
    }
    for space in SPACES {
        all.push(format!("{space}{{}}").into_bytes());
        all.push(format!("{{{space}}}").into_bytes());
        all.push(format!("{{}}{space}").into_bytes());
        all.push(format!("{{\"v\"{space}:1}}").into_bytes());
    }
    all.extend(nested());
    all.extend(large());
    all.extend(wide());
    all
}

/// At and beyond every depth at which a reader may end.
fn nested() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for depth in [15, 16, 17, 127, 128, 129, 1_000, 10_000, 60_000] {
        for (open, close) in [("[", "]"), ("{\"v\":", "}"), ("[{\"v\":", "}]")] {
            let whole = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            all.push(whole.into_bytes());
            all.push(open.repeat(depth).into_bytes());
        }
        all.push("]".repeat(depth).into_bytes());
    }
    all
}

/// Of many bytes, digits, members or keys.
fn large() -> Vec<Vec<u8>> {
    let keys: Vec<_> = (0..5_000).map(|key| format!("\"{key:05}\":1")).collect();
    let same = vec!["\"v\":1"; 5_000];
    vec![
        "1".repeat(60_000).into_bytes(),
        format!("-{}", "9".repeat(400)).into_bytes(),
        format!("0.{}", "1".repeat(60_000)).into_bytes(),
        format!("{{\"v\":\"{}\"}}", "a".repeat(60_000)).into_bytes(),
        format!("{{\"{}\":1}}", "a".repeat(60_000)).into_bytes(),
        format!("{{\"v\":\"{}\"}}", r"\u0061".repeat(10_000)).into_bytes(),
        format!("[{}1]", "1,".repeat(30_000)).into_bytes(),
        format!("[{}1]", "[],".repeat(20_000)).into_bytes(),
        format!("{{{}}}", keys.join(",")).into_bytes(),
        format!("{{{}}}", same.join(",")).into_bytes(),
        " ".repeat(60_000).into_bytes(),
        vec![0; 60_000],
    ]
}

/// A good document in encodings of two and four bytes.
fn wide() -> Vec<Vec<u8>> {
    let good = "{\"v\":1}";
    let two = || good.encode_utf16();
    let four = || good.chars().map(u32::from);
    vec![
        two().flat_map(u16::to_be_bytes).collect(),
        two().flat_map(u16::to_le_bytes).collect(),
        [0xfe, 0xff]
            .into_iter()
            .chain(two().flat_map(u16::to_be_bytes))
            .collect(),
        [0xff, 0xfe]
            .into_iter()
            .chain(two().flat_map(u16::to_le_bytes))
            .collect(),
        four().flat_map(u32::to_be_bytes).collect(),
        four().flat_map(u32::to_le_bytes).collect(),
    ]
}
