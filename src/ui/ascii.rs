//! For terminals that can show ASCII only: every other glyph gets its nearest likeness.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Replaces all glyphs of an area that are not ASCII.
pub(super) fn fold(buffer: &mut Buffer, area: Rect) {
    for y in area.top()..area.bottom() {
        for x in area.left()..area.right() {
            let cell = &mut buffer[(x, y)];
            if !cell.symbol().is_ascii() {
                let likeness = cell.symbol().chars().next().map_or(' ', likeness);
                // A glyph of two columns leaves its second one blank.
                cell.set_char(likeness);
            }
        }
    }
}

#[allow(clippy::match_same_arms, reason = "one line a family of glyphs reads like the table it is")]
fn likeness(c: char) -> char {
    match c {
        '━' => '=',
        '─' | '╌' | '–' | '—' | '−' => '-',
        '│' | '┃' | '┆' | '╎' | '▌' | '┤' | '├' | '║' => '|',
        '╭' | '╮' | '╯' | '╰' | '┌' | '┐' | '└' | '┘' | '┬' | '┴' | '┼' => '+',
        '▸' | '▹' | '›' | '→' => '>',
        '‹' | '←' => '<',
        '▲' => '!',
        '△' | '↑' => '^',
        '↓' => 'v',
        '○' | '◦' | '◌' => 'o',
        '●' | '█' => '#',
        '◐' | '◓' | '◑' | '◒' | '▓' => '%',
        '◇' => '?',
        '✗' | '×' => 'x',
        '✓' | '⊕' => '+',
        '⊖' | '~' => '-',
        '•' | '·' => '*',
        '…' => '.',
        '⚠' => '!',
        '⚑' => '!',
        '▁' | '▂' => '_',
        '▃' | '▄' => '.',
        '▅' | '▆' => 'o',
        '▇' => 'O',
        '▉' | '▊' | '▋' => '=',
        '▍' | '▎' | '▏' => '-',
        '▒' => ':',
        '░' => '.',
        'µ' => 'u',
        '≈' => '~',
        '\u{2801}'..='\u{28FF}' => '*',
        _ => '?',
    }
}
