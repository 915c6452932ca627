//! Words that decide how a line is read. Closed lists: nothing here is tuned to one system.

/// How the value of a key is to be read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyClass {
    /// It is prose or names the place: read its words.
    Prose,
    /// A small closed set of numbers or words: keep it.
    Status,
    /// Data.
    Data,
}

pub(super) fn key_class(key: &str) -> KeyClass {
    let key = key.rsplit_once('.').map_or(key, |(_, last)| last).trim_matches(['@', '_']);
    let mut lower = [0_u8; 16];
    if key.len() > lower.len() || key.is_empty() {
        return KeyClass::Data;
    }
    for (to, from) in lower.iter_mut().zip(key.bytes()) {
        *to = from.to_ascii_lowercase();
    }
    match &lower[..key.len()] {
        b"msg" | b"message" | b"error" | b"err" | b"exception" | b"reason" | b"cause" | b"event" | b"log"
        | b"short_message" | b"detail" | b"details" | b"text" | b"title" | b"caller" | b"logger" | b"logger_name"
        | b"source" | b"component" | b"module" | b"class" | b"func" | b"function" | b"op" | b"operation"
        | b"stacktrace" => KeyClass::Prose,
        b"level" | b"lvl" | b"severity" | b"severity_text" | b"loglevel" | b"log_level" | b"status" | b"code"
        | b"status_code" | b"statuscode" | b"http_status" | b"http_code" | b"response_code" | b"exit_code"
        | b"exitcode" | b"grpc_code" | b"outcome" | b"result" | b"success" | b"ok" => KeyClass::Status,
        _ => KeyClass::Data,
    }
}

/// Whether the word after the last dot says that `word:123` is a place in a source file.
pub(super) fn is_source_extension(word: &str) -> bool {
    matches!(
        word,
        "go" | "java"
            | "py"
            | "rs"
            | "js"
            | "ts"
            | "mjs"
            | "jsx"
            | "tsx"
            | "rb"
            | "php"
            | "kt"
            | "scala"
            | "cs"
            | "c"
            | "cc"
            | "cpp"
            | "cxx"
            | "h"
            | "hpp"
            | "swift"
            | "ex"
            | "erl"
            | "clj"
            | "groovy"
            | "lua"
            | "pl"
    )
}

/// Words that say how bad it is, or that something went wrong; they tell templates apart even where everything else
/// is alike.
pub(super) fn is_telling(word: &str) -> bool {
    let mut lower = [0_u8; 12];
    let bytes = word.as_bytes();
    if word.len() > lower.len() || word.len() < 2 || !may_tell(bytes[0], bytes[1]) {
        return is_exception_name(word);
    }
    for (to, from) in lower.iter_mut().zip(word.bytes()) {
        *to = from.to_ascii_lowercase();
    }
    matches!(
        &lower[..word.len()],
        b"error"
            | b"err"
            | b"errors"
            | b"warn"
            | b"warning"
            | b"info"
            | b"debug"
            | b"trace"
            | b"fatal"
            | b"panic"
            | b"critical"
            | b"fail"
            | b"failed"
            | b"fails"
            | b"failure"
            | b"exception"
            | b"timeout"
            | b"refused"
            | b"denied"
            | b"rejected"
            | b"reset"
            | b"null"
            | b"success"
            | b"ok"
            | b"not"
            | b"no"
            | b"invalid"
            | b"unavailable"
            | b"cannot"
            | b"missing"
            | b"abort"
            | b"aborted"
            | b"killed"
            | b"retry"
            | b"retrying"
    ) || is_exception_name(word)
}

/// Whether a telling word may begin so; most words are sorted out by their second letter.
const fn may_tell(first: u8, second: u8) -> bool {
    let second = second | 0x20;
    match first | 0x20 {
        b'e' => matches!(second, b'r' | b'x'),
        b't' => matches!(second, b'r' | b'i'),
        b'c' => matches!(second, b'r' | b'a'),
        b'n' => matches!(second, b'u' | b'o'),
        b'w' | b'f' | b'p' => second == b'a',
        b'i' | b'u' => second == b'n',
        b'd' | b'r' => second == b'e',
        b'm' | b'k' => second == b'i',
        b's' => second == b'u',
        b'o' => second == b'k',
        b'a' => second == b'b',
        _ => false,
    }
}

/// `TimeoutException`, `ValueError`.
pub(super) fn is_exception_name(word: &str) -> bool {
    word.len() > 5 && (word.ends_with("Exception") || word.ends_with("Error"))
}

/// Units that programs choose by the size of the number before them.
pub(super) fn is_unit(word: &str) -> bool {
    matches!(
        word,
        "B" | "KB"
            | "kB"
            | "MB"
            | "GB"
            | "TB"
            | "PB"
            | "KiB"
            | "MiB"
            | "GiB"
            | "TiB"
            | "ns"
            | "us"
            | "ms"
            | "s"
            | "sec"
            | "secs"
            | "min"
            | "mins"
            | "h"
    )
}

pub(super) fn is_calendar_word(word: &str) -> bool {
    matches!(
        word,
        "Mon"
            | "Tue"
            | "Wed"
            | "Thu"
            | "Fri"
            | "Sat"
            | "Sun"
            | "Jan"
            | "Feb"
            | "Mar"
            | "Apr"
            | "May"
            | "Jun"
            | "Jul"
            | "Aug"
            | "Sep"
            | "Oct"
            | "Nov"
            | "Dec"
    )
}

/// Last labels of host names, public and internal.
pub(super) fn is_top_level_domain(label: &str) -> bool {
    const GENERIC: [&str; 22] = [
        "com",
        "net",
        "org",
        "edu",
        "gov",
        "mil",
        "int",
        "io",
        "dev",
        "app",
        "info",
        "biz",
        "local",
        "localdomain",
        "internal",
        "lan",
        "home",
        "svc",
        "cluster",
        "corp",
        "example",
        "test",
    ];
    GENERIC.contains(&label) || (label.len() == 2 && label.bytes().all(|byte| byte.is_ascii_lowercase()))
}

/// Nouns that a name follows.
pub(super) fn is_naming(word: &str) -> bool {
    matches!(
        word,
        "user"
            | "User"
            | "username"
            | "account"
            | "host"
            | "hostname"
            | "node"
            | "pod"
            | "container"
            | "namespace"
            | "service"
            | "topic"
            | "queue"
            | "table"
            | "database"
            | "bucket"
            | "volume"
            | "device"
            | "interface"
            | "group"
            | "role"
            | "tenant"
            | "domain"
            | "zone"
            | "cluster"
            | "instance"
            | "file"
            | "directory"
    )
}

/// Methods of HTTP.
pub(super) fn is_http_method(word: &str) -> bool {
    matches!(word, "GET" | "POST" | "PUT" | "DELETE" | "PATCH" | "HEAD" | "OPTIONS")
}
