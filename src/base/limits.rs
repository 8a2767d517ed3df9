//! Every length, count, depth and time that someone outside can influence, and its bound.
//!
//! Bytes unless the name says otherwise. A value is checked against its limit before memory is spent on it.

/// One segment of a payload: unit of transfer, hashing and resumption.
pub const SEGMENT_BYTES: u64 = 1 << 20;
/// An authority's id (RFC 1035 §2.3.4).
pub const AUTHORITY_ID_BYTES_MAX: usize = 253;
/// A local short name of an authority.
pub const ALIAS_BYTES_MAX: usize = 32;
/// A statement: text, blank line and signature lines.
pub const STATEMENT_BYTES_MAX: usize = 16 << 10;
/// Signature lines on a statement.
pub const STATEMENT_SIGNATURES_MAX: usize = 8;
/// Nesting of any JSON that is read.
pub const JSON_DEPTH_MAX: usize = 16;
/// The largest integer in any JSON that is read: 2^53 − 1 (RFC 8785 §3.2.2.3, I-JSON).
pub const JSON_INTEGER_MAX: i64 = (1 << 53) - 1;
/// The body of a frame, other than a revocation list.
pub const FRAME_BYTES_MAX: usize = 64 << 10;
/// A certificate revocation list, with the certificates that say whose it is.
pub const CRL_BYTES_MAX: usize = 1 << 20;
/// CAs of one authority whose revocation lists are held: each of up to four on its card, and one below each.
pub const CRLS_MAX: usize = 8;
/// Bytes of revocation lists that are read on one connection at once, and again within each quarter of an hour; as many
/// are kept of one peer.
pub const CRL_BURST: u64 = 16 << 20;
/// The same in a second, once those are used up.
pub const CRL_RATE: u64 = 16 << 10;
/// Bytes that a list which is kept costs besides, for it is written, and all peers are read again.
pub const CRL_KEPT: usize = 64 << 10;
/// A file with the revocation lists of an authority, in PEM.
pub const CRL_FILE_BYTES_MAX: usize = 2 << 20;
/// Certificates of CAs beside the lists in it.
pub const CRL_FILE_CERTIFICATES_MAX: usize = 16;
/// An age header, before it is parsed.
pub const HEADER_BYTES_MAX: usize = 16 << 10;
/// Stanzas in an age header.
pub const HEADER_STANZAS_MAX: usize = 8;
/// `manifest.json` of a package.
pub const MANIFEST_BYTES_MAX: u64 = 64 << 20;
/// Items in one package.
pub const ITEMS_MAX: usize = 1_000_000;
/// Files and folders in one package.
pub const PATHS_MAX: usize = 1_500_000;
/// One item of a manifest, as JSON: its texts at their limits, escaped, take less.
pub const ITEM_JSON_BYTES_MAX: u64 = 4 << 20;
/// A path inside a package.
pub const ITEM_PATH_BYTES_MAX: usize = 1_024;
/// Payload that lives in the ledger and follows its offer unasked.
pub const INLINE_PAYLOAD_BYTES_MAX: u64 = 256 << 10;
/// The largest payload, whatever the configuration allows: its segment list takes 64 MiB on disk.
pub const PAYLOAD_BYTES_MAX: u64 = 2 << 40;
/// `[first, count]` pairs in one `accept`.
pub const MISSING_RANGES_MAX: usize = 1_024;
/// Segments received between two records of progress: what a kill can make a peer send again.
pub const PROGRESS_SEGMENTS: u64 = 16;
/// Difference between two authorities' clocks, in milliseconds.
pub const CLOCK_SKEW_MS_MAX: u64 = 5 * 60 * 1_000;
/// How far the clock may be ahead of the last run at a start before it is in doubt, in milliseconds.
pub const CLOCK_PAUSE_MS_MAX: u64 = 24 * 60 * 60 * 1_000;
/// Free text (title, justification, case reference), in bytes of UTF-8.
pub const TEXT_BYTES_MAX: usize = 4_096;
/// Offences that a package is about.
pub const OFFENCES_MAX: usize = 16;
/// The name of one offence.
pub const OFFENCE_BYTES_MAX: usize = 256;
/// Persons that are named beside a dispatch.
pub const PERSONS_MAX: usize = 64;
/// The name of one of them.
pub const PERSON_BYTES_MAX: usize = 256;
/// Selectively disclosed values beside one statement.
pub const DISCLOSURES_MAX: usize = 64;
/// Items and folders of one package under terms of their own.
pub const ITEM_TERMS_MAX: usize = 64;
/// Codes in one list of terms (purposes, restrictions).
pub const TERM_CODES_MAX: usize = 32;
/// A code of terms or of a reason (instrument, reason code).
pub const CODE_BYTES_MAX: usize = 64;
/// The legal basis named in terms: an ELI or another address of a text of law.
pub const LEGAL_BASIS_BYTES_MAX: usize = 256;
/// The clause that a refusal names.
pub const CLAUSE_BYTES_MAX: usize = 128;
/// One encoded disclosure.
pub const DISCLOSURE_BYTES_MAX: usize = 8 << 10;
/// Log heads in one statement: the issuer's own and its peer's.
pub const HEADS_MAX: usize = 2;
/// How long a permit lasts at most, in milliseconds, whatever the terms allow: after that the question is asked again.
pub const PERMIT_MS_MAX: i64 = 24 * 60 * 60 * 1_000;
/// Exchanges under way at once with one peer, in each direction, over all its connections.
pub const PEER_EXCHANGES_MAX: u32 = 512;
/// Connections from one peer at once.
pub const PEER_CONNECTIONS_MAX: usize = 4;
/// Certificates in a presented chain.
pub const CHAIN_CERTIFICATES_MAX: usize = 4;
/// A public key as text: name, id, base64 of 33 bytes.
pub const VKEY_BYTES_MAX: usize = AUTHORITY_ID_BYTES_MAX + 64;
/// Signature and cosignature lines on a checkpoint.
pub const CHECKPOINT_SIGNATURES_MAX: usize = 64;
/// A configuration file.
pub const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// A file with one key, certificate chain or card.
pub const KEY_FILE_BYTES_MAX: u64 = 64 << 10;
/// An authority's name for people.
pub const AUTHORITY_NAME_BYTES_MAX: usize = 256;
/// Endpoints on a card.
pub const CARD_ENDPOINTS_MAX: usize = 8;
/// CA certificates on a card.
pub const CARD_CAS_MAX: usize = 4;
/// age recipients on a card.
pub const CARD_RECIPIENTS_MAX: usize = 4;
/// Callers' batches that the ledger commits together.
pub const COMMIT_GROUP_BATCHES_MAX: usize = 256;
/// Bytes of changes that may wait for the ledger at once; who brings more waits.
pub const COMMIT_QUEUE_BYTES_MAX: usize = 16 << 20;
/// Exchanges, statements or ids in one answer of the ledger.
pub const LEDGER_ROWS_MAX: u32 = 1_024;
/// Items in one answer of the local API to the question for a list.
pub const LIST_ITEMS_MAX: u32 = 1_000;
/// Newer cards of one peer that are adopted within a day: each takes a leaf of the log for ever.
pub const CARDS_A_DAY_MAX: usize = 8;
/// How far above the card in use the number of a newer one may be, if nobody has compared its words: a number that
/// leaves none above it would be the last.
pub const CARD_STEP_MAX: u64 = 1_000;
/// Cards of one peer that are kept though nobody has accepted them.
pub const CARDS_WAITING_MAX: usize = 4;
/// Offers of one peer that are rejected with a signed statement in a row; after that, one a second.
pub const REJECTIONS_BURST: u64 = 64;
/// Items that one opening may name.
pub const OPEN_ITEMS_MAX: usize = 1_000;
/// Hashes in an inclusion or consistency proof (C2SP tlog-witness).
pub const PROOF_HASHES_MAX: usize = 63;
/// An entry of a log of this protocol, as tiles hold it.
pub const LOG_ENTRY_BYTES_MAX: usize = 256;
/// A submitted checkpoint with its consistency proof.
pub const ADD_CHECKPOINT_BYTES_MAX: usize = STATEMENT_BYTES_MAX + (4 << 10);
/// A file that proves that an entry is in a log.
pub const PROOF_FILE_BYTES_MAX: usize = STATEMENT_BYTES_MAX + (16 << 10);
/// Disk space that is set aside for the ledger alone, for the time when the disk is full.
pub const LEDGER_RESERVE_BYTES: u64 = 4 << 20;
/// Receipts of an exported bundle.
pub const BUNDLE_RECEIPTS_MAX: u64 = 1 << 15;
/// Files of an exported bundle: six at most for a receipt, and those that there are once.
pub const BUNDLE_FILES_MAX: usize = 6 * (1 << 15) + 64;
/// Bytes of one file of an exported bundle: the manifest is the longest.
pub const BUNDLE_FILE_BYTES_MAX: u64 = 64 << 20;
/// Bytes of all files of an exported bundle.
pub const BUNDLE_BYTES_MAX: u64 = 512 << 20;
/// Sockets that a supervisor hands over.
pub const HANDED_SOCKETS_MAX: usize = 2;
/// A question to the fetcher, one line of JSON with its end.
pub const FETCH_QUESTION_BYTES_MAX: usize = 512;
/// An answer of the fetcher, one line of JSON with its end.
pub const FETCH_ANSWER_BYTES_MAX: usize = 4 << 10;
/// Addresses that one name may have; more are left out.
pub const FETCH_ADDRESSES_MAX: usize = 16;
/// Callers of the fetcher at once; who comes on top waits in the socket's queue.
pub const FETCH_CALLERS_MAX: usize = 16;
/// How long one name is resolved, in milliseconds.
pub const FETCH_RESOLVE_MS_MAX: u64 = 10_000;
/// How long a caller of the fetcher may take to put its question, in milliseconds.
pub const FETCH_QUESTION_MS_MAX: u64 = 2_000;
/// Names that the fetcher has resolved and resolves again without counting them as new.
pub const FETCH_NAMES_MAX: usize = 1_024;
/// New names that the fetcher resolves in a row; after that, one a minute.
pub const FETCH_NEW_NAMES_BURST: u64 = 64;
/// Signature lines with which a checkpoint is cosigned, as one frame.
pub const COSIGNATURE_BYTES_MAX: usize = 1 << 10;
/// Authorities that one side says it knows, on one connection.
pub const KNOWN_AUTHORITIES_MAX: usize = 256;
/// Heads of other authorities' logs that are passed on at once.
pub const GOSSIP_HEADS_MAX: usize = 16;
/// Frames about logs that one connection may bring in a row; after that, one a second.
pub const LOG_FRAMES_BURST: u64 = 64;

// What one peer may take of this machine at once, over all its connections.

/// Large payloads of one peer that are received at once.
pub const PEER_WRITERS_MAX: usize = 3;
/// Small payloads of one peer that are held in memory, in KiB.
pub const PEER_MEMORY_KIB_MAX: usize = 8 << 10;
/// Runs of segments, and as many lists, that are sent to one peer at once.
pub const PEER_READERS_MAX: usize = 4;
/// Data streams with segments of one exchange that are read at once; further ones wait unread.
pub const EXCHANGE_READS_MAX: u32 = 2;
/// Control frames that a peer may send at once, before it is slowed down to its rate.
pub const CONTROL_BURST: u64 = 64;
/// How long what a peer has stored here is taken as known before it is counted again, in milliseconds.
pub const QUOTA_COUNTED_MS: u64 = 10_000;
/// Large packages under way to one peer at once; urgent ones go beside them.
pub const PEER_BULK_MAX: usize = 16;
/// Small packages that are not urgent, under way to one peer at once, in KiB: less than the peer takes into memory, so
/// that urgent ones need not wait for them.
pub const PEER_SMALL_KIB_MAX: u64 = 6 << 10;

/// How long what takes two persons waits for the second, in milliseconds: a week.
pub const APPROVAL_MS_MAX: i64 = 7 * 24 * 60 * 60 * 1_000;
/// Requests that wait for a second person at once.
pub const APPROVALS_MAX: usize = 256;
/// Uses of a package in one report.
pub const USES_MAX: usize = 40;
/// Openings, mismatches and reports of one package that its sender is told of.
pub const NOTICES_MAX: usize = 256;
/// One file of national rules.
pub const RULE_FILE_BYTES_MAX: u64 = 256 << 10;
/// Files of national rules.
pub const RULE_FILES_MAX: usize = 64;
/// National rules.
pub const RULES_MAX: usize = 1_000;
/// How deep brackets and signs are nested in a national rule.
pub const RULE_DEPTH_MAX: usize = 32;
/// Packages that were passed on and are not destroyed yet.
pub const ONWARD_MAX: usize = 4_096;
/// Times that a sender may change the terms of one package after its handover.
pub const RESTRICTIONS_CHANGED_MAX: usize = 64;

// People and their roles.

/// Accounts and groups that the configuration gives one role.
pub const ROLE_HOLDERS_MAX: usize = 256;
/// The name of an account or group, in bytes.
pub const ACCOUNT_NAME_BYTES_MAX: usize = 128;
/// Bytes that are read of passwd(5) or group(5), or of one answer of the name service.
pub const ACCOUNTS_BYTES_MAX: u64 = 16 << 20;
/// Members of groups that the name service is asked for; others have no login name here.
pub const ACCOUNTS_MEMBERS_MAX: usize = 4_096;
/// How long the name service may take for one call, in seconds.
pub const ACCOUNTS_ANSWER_S_MAX: u64 = 10;
/// Supplementary groups that a process can have, `NGROUPS_MAX`.
pub const PROCESS_GROUPS_MAX: usize = 65_536;
