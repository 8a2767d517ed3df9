//! The client against a small server of its own on a Unix socket.

use std::io::{Read, Seek, SeekFrom, Write};

use axum::body::Body as ServerBody;
use axum::extract::Path as PathParameter;
use axum::http::{HeaderMap, StatusCode as Code};
use axum::response::IntoResponse;
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tokio::runtime::{Handle, Runtime};

use super::*;
use crate::api::types::Opening;
use crate::base::Digest;

const PLAINTEXT_BYTES: usize = 3_000_000;

fn plaintext() -> Vec<u8> {
    (0..PLAINTEXT_BYTES)
        .map(|i| u8::try_from(i % 251).unwrap())
        .collect()
}

fn refusal() -> ApiError {
    ApiError {
        code: 4,
        error: "denied".to_owned(),
        message: "refused by the rule purpose".to_owned(),
        next: None,
        denial: None,
    }
}

/// Counts what comes up; the digest tells whether all of it came in order.
async fn take(body: ServerBody) -> Result<Json<Value>, Code> {
    let mut pieces = body.into_data_stream();
    let mut hasher = crate::base::Hasher::new();
    let mut length = 0;
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| Code::BAD_REQUEST)?;
        length += piece.len();
        hasher.update(&piece);
    }
    Ok(Json(
        json!({ "length": length, "digest": hasher.finish().to_string() }),
    ))
}

async fn give(headers: HeaderMap) -> impl IntoResponse {
    let whole = plaintext();
    let range = headers.get(RANGE).map(|range| {
        let range = range.to_str().unwrap().strip_prefix("bytes=").unwrap();
        let (first, last) = range.split_once('-').unwrap();
        first.parse::<usize>().unwrap()..=last.parse::<usize>().unwrap()
    });
    match range {
        Some(range) => (Code::PARTIAL_CONTENT, whole[range].to_vec()),
        None => (Code::OK, whole),
    }
}

fn server() -> Router {
    Router::new()
        .route("/json", get(|| async { Json(json!({"ok": true})) }))
        .route(
            "/echo/{part}",
            post(
                |PathParameter(part): PathParameter<String>, Json(body): Json<Value>| async move {
                    Json(json!({"part": part, "body": body}))
                },
            ),
        )
        .route("/put", put(take))
        .route(
            "/full",
            put(|| async { (Code::INSUFFICIENT_STORAGE, Json(refusal())) }),
        )
        .route(
            "/denied",
            get(|| async { (Code::FORBIDDEN, Json(refusal())) }),
        )
        .route("/bare", get(|| async { Code::NOT_FOUND }))
        .route("/gone", delete(|| async { "{}" }))
        .route("/v1/openings/{o}/plaintext", get(give))
        .route(
            "/torn",
            get(|| async {
                let pieces = futures_util::stream::iter([true, false]).then(async |good| {
                    // The first piece is out before the connection breaks.
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    if good {
                        Ok(Bytes::from_static(b"half"))
                    } else {
                        Err(io::Error::other("torn"))
                    }
                });
                ServerBody::from_stream(pieces)
            }),
        )
}

/// Runs a test beside the server. The runtime is one thread, as in the command line.
fn with_server<T>(test: impl AsyncFnOnce(Client) -> T) -> T {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("api.sock");
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let listener = UnixListener::bind(&socket).unwrap();
        tokio::spawn(async move { axum::serve(listener, server()).await });
        test(Client::new(socket)).await
    })
}

#[test]
fn json_goes_both_ways_on_one_connection() {
    with_server(async |client| {
        for _ in 0..3 {
            assert_eq!(
                client.get::<Value>("/json").await.unwrap(),
                json!({"ok": true})
            );
        }
        assert_eq!(client.0.idle.lock().unwrap().len(), 1, "it is used again");
        let path = format!("/echo/{}", encode("a/b ü?&"));
        let answer: Value = client.post(&path, &json!([1])).await.unwrap();
        assert_eq!(answer, json!({"part": "a/b ü?&", "body": [1]}));
        client.delete::<Value>("/gone").await.unwrap();
    });
}

#[test]
fn a_refusal_arrives_as_one() {
    with_server(async |client| {
        match client.get::<Value>("/denied").await {
            Err(CallFault::Refused(error)) => assert_eq!(*error, refusal()),
            other => panic!("{other:?}"),
        }
        assert!(matches!(
            client.get::<Value>("/bare").await,
            Err(CallFault::Unreadable { .. })
        ));
        assert!(matches!(
            client.download("/denied").await,
            Err(CallFault::Refused(_))
        ));
        assert!(matches!(
            client.get::<Vec<u64>>("/json").await,
            Err(CallFault::Unreadable { .. })
        ));
    });
}

#[test]
fn nobody_listens() {
    let runtime = Runtime::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let client = Client::new(dir.path().join("api.sock"));
    let fault = runtime.block_on(client.status()).unwrap_err();
    assert!(matches!(fault, CallFault::NoDaemon { .. }), "{fault}");
    assert!(fault.to_string().contains("api.sock"), "{fault}");
}

#[test]
fn an_upload_is_whole_or_fails() {
    with_server(async |client| {
        let (mut writer, body) = upload();
        let thread = std::thread::spawn(move || {
            for part in plaintext().chunks(70_001) {
                writer.write_all(part).unwrap();
            }
            writer.finish().unwrap();
        });
        let got: Value = client.put("/put", body).await.unwrap();
        thread.join().unwrap();
        assert_eq!(got["length"], PLAINTEXT_BYTES);
        assert_eq!(got["digest"], Digest::of(&plaintext()).to_string());

        let (mut writer, body) = upload();
        let thread = std::thread::spawn(move || {
            writer.write_all(&vec![7; 600_000]).unwrap();
            drop(writer);
        });
        let got = client.put::<Value>("/put", body).await;
        thread.join().unwrap();
        assert!(
            matches!(
                got,
                Err(CallFault::Broken(_) | CallFault::Unreadable { .. })
            ),
            "half an upload looks whole: {got:?}"
        );
    });
}

/// The reason is heard whichever comes first, the answer or the broken pipe.
#[test]
fn an_upload_that_nobody_takes_ends_with_the_answer() {
    with_server(async |client| {
        for _ in 0..200 {
            let (mut writer, body) = upload();
            let thread = std::thread::spawn(move || {
                let mut written = 0_u64;
                while writer.write_all(&[7; 8_192]).is_ok() {
                    written += 8_192;
                    assert!(written < 1 << 30, "it goes on although nobody reads");
                }
            });
            match client.put::<Value>("/full", body).await {
                Err(CallFault::Refused(error)) => assert_eq!(*error, refusal()),
                other => panic!("{other:?}"),
            }
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_download_is_whole_or_fails() {
    with_server(async |client| {
        let download = client.plaintext("x").await.unwrap();
        assert_eq!(download.remaining(), Some(PLAINTEXT_BYTES as u64));
        let mut reader = download.into_reader(StopSign::new().1);
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).map(|_| bytes)
        });
        assert!(read.await.unwrap().unwrap() == plaintext());

        let mut reader = client
            .download("/torn")
            .await
            .unwrap()
            .into_reader(StopSign::new().1);
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes)
        });
        assert!(read.await.unwrap().is_err(), "a torn answer looks whole");
    });
}

#[test]
fn plaintext_is_read_by_ranges() {
    let opening = Opening {
        opening: "o/1".to_owned(),
        id: "00112233445566778899aabbccddeeff".parse().unwrap(),
        expect: crate::package::Expect {
            from: "a.example".parse().unwrap(),
            to: "b.example".parse().unwrap(),
            terms: crate::policy::Terms::new(
                "EIO".parse().unwrap(),
                [crate::policy::Purpose::Prosecution],
                "2031-12-31".parse().unwrap(),
            ),
            item_terms: Vec::new(),
            manifest: Digest::of(b""),
            item_root: Digest::of(b""),
            case: "C-1".to_owned(),
            request: None,
            title: None,
            passed_on: false,
        },
        plaintext_bytes: PLAINTEXT_BYTES as u64,
        opened_bytes: 0,
    };
    with_server(async |client| {
        let mut remote =
            RemotePlaintext::new(client, Handle::current(), &opening, StopSign::new().1);
        tokio::task::spawn_blocking(move || {
            let want = plaintext();
            let mut tail = [0; 512];
            remote.seek(SeekFrom::End(-512)).unwrap();
            remote.read_exact(&mut tail).unwrap();
            assert_eq!(tail, want[PLAINTEXT_BYTES - 512..]);
            assert_eq!(remote.read(&mut tail).unwrap(), 0);
            remote.seek(SeekFrom::Start(1_000)).unwrap();
            remote.seek(SeekFrom::Current(-10)).unwrap();
            let mut rest = Vec::new();
            remote.read_to_end(&mut rest).unwrap();
            assert!(rest == want[990..]);
            assert!(remote.seek(SeekFrom::End(-4_000_000)).is_err());
        })
        .await
        .unwrap();
    });
}
