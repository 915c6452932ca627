//! The clipboard by OSC 52: works over SSH, because the terminal at the operator's end does it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::domain::Outgoing;

/// Largest encoded text; several terminals drop longer sequences whole.
pub const ENCODED_MAX: usize = 75_000;

/// The sequence that puts `text` on the clipboard; `None` when it is too long.
pub fn copy_sequence(text: &Outgoing, tmux: bool) -> Option<String> {
    let encoded = STANDARD.encode(text.as_bytes());
    if encoded.len() > ENCODED_MAX {
        return None;
    }
    let sequence = format!("\x1b]52;c;{encoded}\x07");
    // tmux hands on what is wrapped in its own DCS with escapes doubled (needs `allow-passthrough on`); with
    // `set-clipboard on` it also understands the plain sequence.
    Some(if tmux { format!("{sequence}\x1bPtmux;{}\x1b\\", sequence.replace('\x1b', "\x1b\x1b")) } else { sequence })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_encoded() {
        assert_eq!(copy_sequence(&Outgoing::fixed("up"), false).as_deref(), Some("\x1b]52;c;dXA=\x07"));
    }

    #[test]
    fn tmux_passes_it_on() {
        let sequence = copy_sequence(&Outgoing::fixed("up"), true).unwrap();
        assert!(sequence.ends_with("\x1bPtmux;\x1b\x1b]52;c;dXA=\x07\x1b\\"));
    }

    fn long(characters: usize) -> Outgoing {
        Outgoing::fixed("x".repeat(characters).leak())
    }

    #[test]
    fn what_terminals_would_drop_is_refused() {
        assert!(copy_sequence(&long(56_250), false).is_some());
        assert!(copy_sequence(&long(56_251), false).is_none());
    }
}
