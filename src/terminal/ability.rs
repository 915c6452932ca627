//! What the terminal can do, from the environment.

/// How many colours there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Colours {
    /// None: bold, underlined and reversed only.
    Mono,
    /// The sixteen of the terminal's own theme.
    Sixteen,
}

/// What the terminal can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ability {
    /// Colours.
    pub colours: Colours,
    /// Whether only ASCII can be shown.
    pub ascii: bool,
    /// Whether it is tmux, which wants escape sequences for the outer terminal wrapped.
    pub tmux: bool,
}

impl Ability {
    /// Reads `TERM`, `NO_COLOR` (no-color.org), `TMUX` and the locale variables through `env`.
    pub fn detect(env: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        let term = set("TERM").unwrap_or_default();
        let poor = term.is_empty() || term == "dumb";
        let mono = poor || set("NO_COLOR").is_some() || term.ends_with("-m") || term == "vt100" || term == "vt220";
        // The first of these that is set decides (POSIX, section 8.2). Without any the terminal's own habit is
        // trusted: minimal containers set none, and their terminals show UTF-8.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).map(|value| value.to_ascii_lowercase());
        let utf8 = locale.is_none_or(|locale| locale.contains("utf-8") || locale.contains("utf8"));
        Self {
            colours: if mono { Colours::Mono } else { Colours::Sixteen },
            ascii: poor || term == "linux" || term.starts_with("vt") || !utf8,
            tmux: set("TMUX").is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(vars: &[(&str, &str)]) -> Ability {
        Ability::detect(|name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn an_ordinary_terminal_has_colours_and_unicode() {
        let ability = detect(&[("TERM", "xterm-256color"), ("LANG", "en_US.UTF-8")]);
        assert_eq!(ability, Ability { colours: Colours::Sixteen, ascii: false, tmux: false });
    }

    #[test]
    fn no_color_is_obeyed_unless_empty() {
        assert_eq!(detect(&[("TERM", "xterm"), ("NO_COLOR", "1")]).colours, Colours::Mono);
        assert_eq!(detect(&[("TERM", "xterm"), ("NO_COLOR", "")]).colours, Colours::Sixteen);
    }

    #[test]
    fn poor_terminals_get_ascii() {
        assert!(detect(&[("TERM", "dumb")]).ascii);
        assert!(detect(&[("TERM", "linux"), ("LANG", "C.UTF-8")]).ascii);
        assert!(detect(&[("TERM", "xterm"), ("LANG", "C")]).ascii);
        assert!(detect(&[("TERM", "xterm"), ("LC_ALL", "POSIX"), ("LANG", "de_DE.UTF-8")]).ascii);
        assert!(!detect(&[("TERM", "xterm")]).ascii);
    }
}
