//! Making anchors and shipping them: to a file, to syslog, to Loki.

use std::io::Write as _;
use std::net::{TcpStream, ToSocketAddrs as _, UdpSocket};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use ssh_key::PrivateKey;

use crate::config;
use crate::domain::Timestamp;
use crate::domain::settings::Secrets;
use crate::ledger::{Anchor, Head, SignedAnchor};
use crate::sources::loki;

use super::failure::Failure;

/// How long shipping to one place may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Most ends that wait to be anchored.
const MOST_WAITING: usize = 64;

/// Facility `log audit` (13), severity notice (5): RFC 5424, section 6.2.1.
const PRIORITY: u8 = 13 * 8 + 5;

/// Where an anchor went, and where it could not go.
#[derive(Debug, Default)]
pub(super) struct Shipped {
    /// Places that have it.
    pub(super) to: Vec<String>,
    /// Places that do not, with the reason.
    pub(super) failed: Vec<String>,
}

/// Makes an anchor of this end of the chain of the ledger at `place`, signed when a key is configured. Ships it
/// nowhere.
pub(super) fn make(config: &config::Anchor, head: &Head, place: &str, at: Timestamp) -> Result<SignedAnchor, Failure> {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let anchor = Anchor::new(head, at.to_rfc3339(), place.to_owned(), host);
    let Some(path) = &config.key else { return Ok(anchor.unsigned()) };
    let said = |what: String| Failure::failed(format!("the key of the anchors, {}: {what}", path.display()));
    let key = PrivateKey::read_openssh_file(path).map_err(|error| said(error.to_string()))?;
    if key.is_encrypted() {
        return Err(said("it has a passphrase: anchors are made unattended, give them a key of their own".into()));
    }
    anchor.sign(&key).map_err(|error| said(error.to_string()))
}

/// Ships an anchor to every place that is configured. A place that fails does not keep it from the others.
pub(super) async fn ship(config: &config::Anchor, secrets: &Arc<dyn Secrets>, anchor: &SignedAnchor) -> Shipped {
    let line = anchor.line();
    let mut shipped = Shipped::default();
    let mut note = |place: String, result: Result<(), String>| match result {
        Ok(()) => shipped.to.push(place),
        Err(why) => shipped.failed.push(format!("{place}: {why}")),
    };
    if let Some(path) = &config.file {
        note(format!("file {}", path.display()), append(path, &line).map_err(|error| error.to_string()));
    }
    if let Some(address) = &config.syslog {
        let place = format!("syslog {address}");
        let (address, record) = (address.clone(), record(anchor));
        // Blocking sockets with time-outs of their own, aside from the threads that serve the screen.
        let sent = tokio::task::spawn_blocking(move || syslog(&address, &record)).await;
        note(place, sent.unwrap_or_else(|error| Err(error.to_string())));
    }
    if let Some(settings) = &config.loki {
        let at = Timestamp::parse_rfc3339(&anchor.anchor.at).unwrap_or(Timestamp::from_secs(0));
        let labels = json!({"job": "stanch", "kind": "anchor", "host": anchor.anchor.host});
        let body = body(&labels, at, &line);
        let push = loki::push(settings, Arc::clone(secrets), &body);
        let sent = match tokio::time::timeout(PATIENCE, push).await {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(_) => Err("no answer in time".to_owned()),
        };
        note("Loki".to_owned(), sent);
    }
    shipped
}

/// Makes and ships anchors aside, so that nobody waits for a place that does not answer. Best effort: the next anchor
/// covers what one that failed would have. What is under way when this is dropped is waited for, with its time-outs.
pub(super) struct Courier {
    orders: Option<SyncSender<(Head, Timestamp)>>,
    thread: Option<JoinHandle<()>>,
}

impl Courier {
    /// Starts a thread for the ledger at `place`.
    pub(super) fn start(config: config::Anchor, secrets: Arc<dyn Secrets>, place: String) -> std::io::Result<Self> {
        let (orders, taken) = sync_channel(MOST_WAITING);
        // A runtime of its own: the program's may be ending.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let work = move || runtime.block_on(deliver(&config, &secrets, &place, &taken));
        let thread = std::thread::Builder::new().name("anchors".to_owned()).spawn(work)?;
        Ok(Self { orders: Some(orders), thread: Some(thread) })
    }

    /// Has this end anchored.
    pub(super) fn anchor(&self, head: Head, at: Timestamp) {
        if let Some(orders) = &self.orders
            && orders.try_send((head, at)).is_err()
        {
            tracing::warn!("an anchor was left out: earlier ones are still under way");
        }
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn deliver(
    config: &config::Anchor,
    secrets: &Arc<dyn Secrets>,
    place: &str,
    orders: &Receiver<(Head, Timestamp)>,
) {
    while let Ok(first) = orders.recv() {
        // The last one vouches for all before it.
        let (head, at) = orders.try_iter().last().unwrap_or(first);
        match make(config, &head, place, at) {
            Ok(anchor) => {
                for why in ship(config, secrets, &anchor).await.failed {
                    tracing::warn!(%why, "an anchor could not be shipped");
                }
            }
            Err(error) => tracing::warn!(%error, "an anchor could not be made"),
        }
    }
}

/// Body of Loki's push API with one line.
fn body(labels: &Value, at: Timestamp, line: &str) -> String {
    json!({"streams": [{"stream": labels, "values": [[at.nanos().to_string(), line]]}]}).to_string()
}

/// Appends the line in one write, and waits until the disk has it.
fn append(path: &Path, line: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_all()
}

/// The syslog record of an anchor, RFC 5424.
fn record(anchor: &SignedAnchor) -> String {
    let printable = |text: &str, most: usize| -> String {
        let text: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
        if text.is_empty() { "-".to_owned() } else { text }
    };
    let host = printable(&anchor.anchor.host, 255);
    let process = std::process::id();
    format!("<{PRIORITY}>1 {} {host} stanch {process} anchor - {}", printable(&anchor.anchor.at, 64), anchor.line())
}

/// Sends one record to `udp://HOST:PORT` (RFC 5426), `tcp://HOST:PORT` (RFC 6587, octet counting) or the path of a
/// unix socket.
fn syslog(address: &str, record: &str) -> Result<(), String> {
    let sent = if let Some(host) = address.strip_prefix("udp://") {
        udp(host, record)
    } else if let Some(host) = address.strip_prefix("tcp://") {
        tcp(host, record)
    } else if address.starts_with('/') {
        unix(address, record)
    } else {
        return Err("expected udp://HOST:PORT, tcp://HOST:PORT or the path of a socket".to_owned());
    };
    sent.map_err(|error| error.to_string())
}

fn udp(host: &str, record: &str) -> std::io::Result<()> {
    let local = if host.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
    UdpSocket::bind(local)?.send_to(record.as_bytes(), host).map(drop)
}

fn tcp(host: &str, record: &str) -> std::io::Result<()> {
    let address = host.to_socket_addrs()?.next().ok_or(std::io::ErrorKind::NotFound)?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{} {record}", record.len()).as_bytes())
}

fn unix(path: &str, record: &str) -> std::io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let Err(error) = socket.send_to(record.as_bytes(), path) else { return Ok(()) };
    // The socket may be a stream; there a record ends with a line feed.
    let Ok(mut stream) = UnixStream::connect(path) else { return Err(error) };
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{record}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Head;
    use std::io::Read as _;

    fn anchor() -> SignedAnchor {
        let head = Head { seq: 3, hash: "0".repeat(64) };
        Anchor::new(&head, "2026-01-31T13:00:00.000Z".into(), "l".into(), "ops 1\n".into()).unsigned()
    }

    #[test]
    fn a_record_is_one_line_of_rfc_5424_with_the_anchor_in_it() {
        let record = record(&anchor());
        assert!(record.starts_with("<109>1 2026-01-31T13:00:00.000Z ops1 stanch "), "{record}");
        assert!(!record.contains('\n'));
        assert_eq!(SignedAnchor::find(&record).unwrap().unwrap(), anchor());
    }

    #[test]
    fn records_arrive_over_udp_tcp_and_unix_sockets() {
        let mut buffer = [0; 2_048];
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        syslog(&format!("udp://{}", udp.local_addr().unwrap()), "one").unwrap();
        let count = udp.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..count], b"one");

        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        syslog(&format!("tcp://{}", tcp.local_addr().unwrap()), "two").unwrap();
        let mut said = String::new();
        tcp.accept().unwrap().0.read_to_string(&mut said).unwrap();
        assert_eq!(said, "3 two");

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let unix = UnixDatagram::bind(&path).unwrap();
        syslog(path.to_str().unwrap(), "three").unwrap();
        let count = unix.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..count], b"three");
        let path = folder.path().join("stream");
        let unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
        syslog(path.to_str().unwrap(), "four").unwrap();
        said.clear();
        unix.accept().unwrap().0.read_to_string(&mut said).unwrap();
        assert_eq!(said, "four\n");

        assert!(syslog("somewhere", "five").is_err());
    }
}
