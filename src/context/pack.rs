//! Assembly of the pack.

use crate::domain::analysis::Analysis;
use crate::domain::pack::{Pack, PackedEvidence};

use super::tokens::count_tokens;

/// The pack for a budget in o200k tokens; never above it.
pub fn pack(analysis: &Analysis, budget: usize) -> Pack {
    let mut text = String::new();
    let mut evidence = Vec::new();
    let mut tokens = 0;
    for item in &analysis.evidence {
        let line = format!("[{}] {}\n", item.id, item.title.one_line());
        let cost = count_tokens(&line);
        if tokens + cost > budget {
            break;
        }
        tokens += cost;
        text.push_str(&line);
        evidence.push(PackedEvidence {
            id: item.id,
            kind: item.id.kind,
            service: item.service.clone(),
            change: None,
            text: line,
            tokens: cost,
        });
    }
    let tokens = count_tokens(&text);
    Pack { budget, tokens, text, evidence, omitted: Vec::new(), redactions: std::collections::BTreeMap::new() }
}
