//! Where files live, by the XDG base directory specification.

use std::env;
use std::path::PathBuf;

/// The user's configuration file: `$XDG_CONFIG_HOME/stanch/config.toml`. `None` without a home.
pub fn config_file() -> Option<PathBuf> {
    Some(base("XDG_CONFIG_HOME", ".config")?.join("stanch/config.toml"))
}

/// Where the ledger lives: `$XDG_STATE_HOME/stanch`. `None` without a home.
pub fn state_dir() -> Option<PathBuf> {
    Some(base("XDG_STATE_HOME", ".local/state")?.join("stanch"))
}

/// Where the program's own log lives: `$XDG_CACHE_HOME/stanch`. `None` without a home.
pub fn cache_dir() -> Option<PathBuf> {
    Some(base("XDG_CACHE_HOME", ".cache")?.join("stanch"))
}

fn base(variable: &str, below_home: &str) -> Option<PathBuf> {
    // The specification says that relative paths are to be ignored.
    let set = env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    set.or_else(|| env::home_dir().filter(|home| home.is_absolute()).map(|home| home.join(below_home)))
}
