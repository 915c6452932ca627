//! Who uses the program: what the kernel, the login and the SSH session say.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::domain::Text;
use crate::domain::approval::{Identity, Trust};

/// The name of the user that this process runs as, from the password database by its uid; environment variables
/// are not believed. `uid-1007` when the uid has no name.
pub(super) fn actor() -> String {
    // The owner of /proc/self is the effective user: no foreign call is needed.
    let Some(uid) = std::fs::metadata("/proc/self").ok().map(|meta| meta.uid()) else {
        return "unknown".into();
    };
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_of(uid, &passwd).unwrap_or_else(|| format!("uid-{uid}"))
}

/// Everything that can be found out about who uses the program without asking for a signature.
pub(super) fn identity() -> Identity {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    // The kernel keeps both for the life of a login session; the highest number stands for none.
    let number = |path: &str| -> Option<u32> {
        std::fs::read_to_string(path).ok()?.trim().parse().ok().filter(|&number| number != u32::MAX)
    };
    let login_uid = number("/proc/self/loginuid");
    let uid = std::fs::metadata("/proc/self").map_or(u32::MAX, |meta| meta.uid());
    // Where no login set it, any process may set its own login uid: only root, who could be anyone anyway, is believed
    // to have logged in as somebody else. Root of a user namespace is not root.
    let is_root = uid == 0
        && std::fs::read_to_string("/proc/self/uid_map")
            .is_ok_and(|map| map.split_whitespace().eq(["0", "0", "4294967295"]));
    let logged_in = login_uid.is_some_and(|login| login == uid || is_root);
    let said =
        |name: &str| std::env::var(name).ok().map(|value| Text::new(&value.chars().take(400).collect::<String>()));
    let ssh_auth = std::env::var_os("SSH_USER_AUTH").and_then(|path| read_start(Path::new(&path)));
    Identity {
        user: actor(),
        uid,
        login_user: login_uid.map(|uid| name_of(uid, &passwd).unwrap_or_else(|| format!("uid-{uid}"))),
        login_uid,
        session: number("/proc/self/sessionid"),
        ssh_from: said("SSH_CONNECTION"),
        ssh_auth,
        key: None,
        trust: if logged_in { Trust::Login } else { Trust::Account },
    }
}

/// The first line of a small ordinary file.
fn read_start(path: &Path) -> Option<Text> {
    if !std::fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    std::fs::File::open(path).ok()?.take(4_096).read_to_string(&mut text).ok()?;
    text.lines().next().map(Text::new)
}

fn name_of(uid: u32, passwd: &str) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_is_looked_up_in_the_password_database() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\noncall-1:x:1007:1007::/home/oncall-1:/bin/sh\n";
        assert_eq!(name_of(1007, passwd).as_deref(), Some("oncall-1"));
        assert_eq!(name_of(1, passwd), None);
    }
}
