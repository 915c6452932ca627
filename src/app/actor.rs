//! Who uses the program.

use std::os::unix::fs::MetadataExt as _;

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
