//! What was spent on language models today, read from the ledger: it holds every call, whoever made it on this ledger.

use serde_json::Value;

use crate::config::Llm;
use crate::copilot::call::CallOutcome;
use crate::core::figures::money;
use crate::domain::Timestamp;
use crate::domain::diagnosis::Bill;
use crate::domain::ledger::{Entry, EntryKind};
use crate::domain::settings::EndpointSettings;
use crate::ledger::{Filter, Ledger};
use crate::llm::Pool;

use super::engine::Engine;
use super::failure::Failure;

/// Entries read at first; more only when the day holds more.
const PAGE: usize = 200;

/// What the calls of one day cost.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Spent {
    /// The day, in days since 1970.
    day: i64,
    /// Number of the last entry that is counted.
    seq: u64,
    cost: Option<f64>,
    tokens: u64,
}

impl Spent {
    fn add(&mut self, entry: &Entry) {
        let payload = &entry.draft.payload;
        self.seq = self.seq.max(entry.seq);
        if day(entry.draft.at) != self.day || payload.get("answered").and_then(Value::as_bool) != Some(true) {
            return;
        }
        let tokens = |name: &str| payload.pointer(&format!("/usage/{name}")).and_then(Value::as_u64).unwrap_or(0);
        self.tokens = self.tokens.saturating_add(tokens("input_tokens")).saturating_add(tokens("output_tokens"));
        if let Some(cost) = payload.get("cost").and_then(Value::as_f64).filter(|cost| cost.is_finite()) {
            self.cost = Some(self.cost.unwrap_or(0.0) + cost);
        }
    }
}

fn day(at: Timestamp) -> i64 {
    at.nanos().div_euclid(86_400_000_000_000)
}

/// Brings the sum of the day up to date, and tells the end points what earlier requests say of their tokens.
pub(super) async fn refresh(engine: &Engine, ledger: &dyn Ledger) -> Result<Bill, Failure> {
    let unread = |error: crate::ledger::LedgerError| {
        Failure::failed(format!("nothing was sent, because what was spent today cannot be read: {error}"))
    };
    let today = day((engine.wall_clock)());
    let mut spent = engine.spent.lock().await;
    if spent.day != today || spent.seq == 0 {
        *spent = Spent { day: today, ..Spent::default() };
        let mut limit = PAGE;
        let entries = loop {
            let filter = Filter { kinds: vec![EntryKind::LlmOutcome], limit, newest: true, ..Filter::default() };
            let entries = ledger.entries(filter).await.map_err(unread)?;
            let whole = entries.len() < limit || entries.first().is_some_and(|first| day(first.draft.at) < today);
            if whole || limit >= Filter::MAX_LIMIT {
                break entries;
            }
            limit = (limit * 4).min(Filter::MAX_LIMIT);
        };
        for entry in &entries {
            spent.add(entry);
        }
        learn(&engine.pool, &entries);
    } else {
        loop {
            let filter =
                Filter { kinds: vec![EntryKind::LlmOutcome], after: Some(spent.seq), limit: PAGE, ..Filter::default() };
            let entries = ledger.entries(filter).await.map_err(unread)?;
            for entry in &entries {
                spent.add(entry);
            }
            if entries.len() < PAGE {
                break;
            }
        }
    }
    let llm = &engine.config.llm;
    Ok(Bill {
        cost: None,
        today: spent.cost,
        limit: llm.cost_per_day,
        tokens_today: spent.tokens,
        tokens_limit: llm.tokens_per_day,
        currency: llm.currency.clone(),
    })
}

/// What earlier requests say of the factor between our count of tokens and the model's.
fn learn(pool: &Pool, entries: &[Entry]) {
    for endpoint in pool.endpoints() {
        let settings = endpoint.settings();
        let pairs = entries.iter().filter_map(|entry| {
            let payload = &entry.draft.payload;
            let same = payload.get("endpoint").and_then(Value::as_str) == Some(settings.name.as_str())
                && payload.get("model").and_then(Value::as_str) == Some(settings.model.as_str());
            let reported = payload.pointer("/usage/reported").and_then(Value::as_bool) == Some(true);
            let count = |pointer: &str| payload.pointer(pointer).and_then(Value::as_u64);
            (same && reported).then_some(())?;
            Some((count("/sent_tokens")?, count("/usage/input_tokens")?))
        });
        endpoint.seed_calibration(pairs);
    }
}

/// Adds a call to a bill that was read before it.
pub(super) fn add(bill: &mut Bill, settings: &EndpointSettings, outcome: &CallOutcome) {
    if !outcome.answered() {
        return;
    }
    bill.tokens_today += outcome.usage.input_tokens + outcome.usage.output_tokens;
    if let Some(price) = settings.price {
        let cost = price.of(&outcome.usage);
        bill.cost = Some(bill.cost.unwrap_or(0.0) + cost);
        bill.today = Some(bill.today.unwrap_or(0.0) + cost);
    }
}

/// That the budget in money says nothing of an end point, as nobody knows what it costs; `None` where it binds, or where
/// the budget in tokens does.
pub(super) fn does_not_bind(llm: &Llm, settings: &EndpointSettings) -> Option<&'static str> {
    (llm.cost_per_day.is_some() && llm.tokens_per_day.is_none() && settings.price.is_none()).then_some(
        "no price is configured: the budget in money does not bind; set price (zeros where it is free) or tokens_per_day",
    )
}

/// Why a request of about so many tokens must not be sent today; `None` when it may be.
pub(super) fn refuses(bill: &Bill, settings: &EndpointSettings, tokens: u64) -> Option<String> {
    // The answer may be as long as it is allowed to be.
    let answer = u64::from(settings.answer_tokens);
    let cost = settings
        .price
        .map(|price| (tokens as f64 * price.input + answer as f64 * price.output) / 1e6)
        .unwrap_or_default();
    let today = bill.today.unwrap_or_default();
    if let Some(limit) = bill.limit.filter(|limit| settings.price.is_some() && today + cost > *limit) {
        let sign = &bill.currency;
        let (cost, whole, left) = (money(cost), money(limit), money((limit - today).max(0.0)));
        let left = if today == 0.0 {
            format!("today's {whole} {sign}")
        } else {
            format!("what is left of today's {whole} {sign} ({left} {sign})")
        };
        return Some(format!(
            "refused by the budget: this request may cost {cost} {sign}, more than {left}; raise \
                             llm.cost_per_day, or lower pack_tokens or answer_tokens"
        ));
    }
    let tokens = tokens.saturating_add(answer);
    let limit = bill.tokens_limit.filter(|limit| bill.tokens_today.saturating_add(tokens) > *limit)?;
    Some(format!(
        "refused by the budget: this request may take {tokens} tokens, more than what is left of today's {limit} ({} are \
         used); raise llm.tokens_per_day, or lower pack_tokens or answer_tokens",
        bill.tokens_today
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::ledger::Draft;
    use crate::domain::settings::{Price, Protocol};

    fn entry(seq: u64, at: i64, payload: Value) -> Entry {
        let draft = Draft {
            at: Timestamp::from_secs(at),
            kind: EntryKind::LlmOutcome,
            incident: None,
            actor: String::new(),
            payload,
        };
        Entry { seq, draft, prev_hash: String::new(), hash: String::new() }
    }

    #[test]
    fn the_day_is_summed_once() {
        let mut spent = Spent { day: 100, ..Spent::default() };
        let call =
            |cost: Value| json!({"answered": true, "cost": cost, "usage": {"input_tokens": 10, "output_tokens": 5}});
        spent.add(&entry(1, 99 * 86_400, call(json!(5.0))));
        spent.add(&entry(2, 100 * 86_400, call(json!(1.5))));
        spent.add(&entry(3, 100 * 86_400 + 1, call(Value::Null)));
        spent.add(&entry(4, 100 * 86_400 + 2, json!({"answered": false, "cost": 9.0})));
        assert_eq!(spent, Spent { day: 100, seq: 4, cost: Some(1.5), tokens: 30 });
    }

    #[test]
    fn what_is_beyond_the_budget_is_not_sent() {
        let price = Some(Price { input: 1_000.0, ..Price::default() });
        let settings = EndpointSettings::new("a", Protocol::Anthropic, "m");
        let priced = EndpointSettings { price, answer_tokens: 0, ..settings };
        let free = EndpointSettings { price: None, ..priced.clone() };
        let bill =
            Bill { today: Some(4.0), limit: Some(5.0), tokens_today: 90, currency: "€".into(), ..Bill::default() };
        assert_eq!(refuses(&bill, &priced, 1_000), None);
        assert!(
            refuses(&bill, &priced, 1_001)
                .unwrap()
                .contains("may cost 1.00 €, more than what is left of today's 5.00 € (1.00 €)")
        );
        let unused = Bill { today: None, ..bill.clone() };
        let said = refuses(&unused, &priced, 6_000).unwrap();
        assert!(said.contains("may cost 6.00 €, more than today's 5.00 €; raise"), "{said}");
        let llm = Llm { cost_per_day: Some(5.0), ..Llm::default() };
        assert!(does_not_bind(&llm, &free).is_some() && does_not_bind(&llm, &priced).is_none());
        assert!(does_not_bind(&Llm { tokens_per_day: Some(1), ..llm }, &free).is_none());
        assert!(does_not_bind(&Llm::default(), &free).is_none());
        assert_eq!(refuses(&bill, &free, 1_000_000), None, "what costs nothing may always be asked");
        let bill = Bill { tokens_limit: Some(100), ..bill };
        assert_eq!(refuses(&bill, &free, 10), None);
        assert!(refuses(&bill, &free, 11).unwrap().contains("left of today's 100 (90 are used)"));
        let talkative = EndpointSettings { answer_tokens: 4, ..free };
        assert!(refuses(&bill, &talkative, 7).is_some(), "the answer is reserved");
    }
}
