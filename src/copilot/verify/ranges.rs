//! Normal ranges that are told by their ends: `0.03..0.06`.

use std::sync::LazyLock;

use ::regex::Regex;

use super::figures::{Number, Token, Unit, tokens};
use super::item::Item;
use super::regex;

/// Why a range is no normal range of an item: one end is, the other is not. `None` where neither is, which the figures
/// themselves are judged by.
pub(super) fn other_range(text: &str, items: &[&Item]) -> Option<String> {
    static RANGE: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?P<low>\d[\d,]*(?:\.\d+)?)\s?(?P<unit>[a-zA-Zµ%]{1,3})?(?:/(?:s|min))?\s?(?:\.\.|–)\s?(?P<high>\d[\d,]*(?:\.\d+)?\s?(?:[a-zA-Zµ%]{1,3}\b)?(?:/(?:s|min))?)",
        )
    });
    let read = |text: &str| {
        tokens(text).into_iter().find_map(|token| match token {
            Token::Number(number, _) => Some(number),
            Token::Word(_) => None,
        })
    };
    RANGE.captures_iter(text).find_map(|groups| {
        let high = read(&groups["high"])?;
        let low = read(&format!("{}{}", &groups["low"], groups.name("unit").map_or("", |unit| unit.as_str())))?;
        let low = if low.unit == Unit::None { Number { unit: high.unit, ..low } } else { low };
        let bands = || items.iter().filter_map(|item| item.band);
        let ends = |band: (Number, Number)| (low.is(band.0), high.is(band.1));
        // What has no unit may be told in one, and the other way round.
        let bare = |number: Number| Number { unit: Unit::None, ..number };
        let plain = |band: (Number, Number)| {
            let raw = |told: Number, end: Number| bare(told).is(bare(end));
            (raw(low, band.0), raw(high, band.1))
        };
        let mut one = false;
        for band in bands() {
            let (exact, loose) = (ends(band), plain(band));
            if exact == (true, true) || loose == (true, true) {
                return None;
            }
            one |= exact.0 || exact.1;
        }
        one.then(|| format!("{} is not the normal range of what it cites", groups[0].trim()))
    })
}
