//! The shop's logs: what each service says, how often, and what changes with the new version.

use std::sync::Arc;

use super::noise::Noise;
use super::shop::{CULPRIT, SERVICES, pod};
use super::{HISTORY, TROUBLE, Times};
use crate::domain::log::LogEntry;
use crate::domain::{Labels, Text};

/// One kind of line.
struct Voice {
    service: &'static str,
    level: &'static str,
    /// Lines per minute before the trouble, and since.
    rates: (f64, f64),
    line: fn(&mut Noise) -> String,
}

const fn voice(
    service: &'static str,
    level: &'static str,
    before: f64,
    since: f64,
    line: fn(&mut Noise) -> String,
) -> Voice {
    Voice { service, level, rates: (before, since), line }
}

/// An order, cart, customer: something that identifies and never repeats.
fn id(noise: &mut Noise) -> String {
    format!("{:08x}", noise.next() as u32)
}

const VOICES: [Voice; 24] = [
    voice("payments", "error", 0.0, 86.0, |n| {
        format!("acquire connection: timeout pool=pg-main waited_ms={} order={}", 3000 + n.below(6000), id(n))
    }),
    voice("payments", "warn", 0.0, 12.0, |n| {
        format!("pool saturated pool=pg-main in_use=50 limit=50 waiters={}", 40 + n.below(180))
    }),
    voice("payments", "debug", 40.0, 0.0, |n| format!("connection returned pool=pg-main held_ms={}", 20 + n.below(60))),
    voice("payments", "info", 41.0, 28.0, |n| {
        format!(
            "payment authorized order={} amount_cents={} took_ms={}",
            id(n),
            500 + n.below(20_000),
            30 + n.below(90)
        )
    }),
    voice("payments", "info", 14.0, 14.0, |n| {
        format!("fraud score received order={} score=0.{:02}", id(n), n.below(40))
    }),
    voice("payments", "info", 3.0, 3.0, |_| "health check ok".to_owned()),
    voice("checkout", "error", 0.05, 64.0, |n| {
        format!("payment failed: upstream timeout upstream=payments order={} attempt=3", id(n))
    }),
    voice("checkout", "warn", 0.2, 96.0, |n| {
        format!("retrying payment order={} attempt={} backoff_ms={}", id(n), 1 + n.below(2), 100 + n.below(400))
    }),
    voice("checkout", "info", 39.0, 27.0, |n| format!("order placed order={} items={}", id(n), 1 + n.below(7))),
    voice("checkout", "info", 22.0, 21.0, |n| format!("cart updated cart={} items={}", id(n), 1 + n.below(9))),
    voice("web", "error", 0.05, 58.0, |n| {
        format!("POST /checkout 502 upstream=checkout took_ms={} session={}", 5000 + n.below(400), id(n))
    }),
    voice("web", "info", 46.0, 45.0, |n| {
        format!("GET /product/{} 200 took_ms={}", 1000 + n.below(9000), 20 + n.below(80))
    }),
    voice("web", "info", 38.0, 38.0, |n| format!("GET /search 200 took_ms={} session={}", 40 + n.below(120), id(n))),
    voice("web", "info", 12.0, 8.0, |n| format!("POST /checkout 200 took_ms={} session={}", 60 + n.below(90), id(n))),
    voice("fraud", "info", 40.0, 28.0, |n| {
        format!("score computed order={} score=0.{:02} rules={} took_ms={}", id(n), n.below(40), 12, 12 + n.below(20))
    }),
    voice("inventory", "info", 33.0, 31.0, |n| {
        format!("stock reserved sku=SKU-{} quantity={}", n.below(5000), 1 + n.below(4))
    }),
    voice("inventory", "info", 2.0, 2.0, |n| format!("cache refreshed entries={}", 4000 + n.below(900))),
    voice("search", "info", 30.0, 30.0, |n| format!("query served hits={} took_ms={}", n.below(400), 30 + n.below(80))),
    voice("search", "warn", 1.5, 1.6, |n| format!("slow query took_ms={} shard={}", 800 + n.below(900), n.below(6))),
    voice("recommendations", "info", 24.0, 24.0, |n| {
        format!("ranked candidates={} took_ms={}", 100 + n.below(300), 15 + n.below(40))
    }),
    voice("orders", "info", 39.0, 27.0, |n| format!("order consumed order={} partition={}", id(n), n.below(12))),
    voice("pg-main", "info", 1.0, 1.0, |n| format!("checkpoint complete: wrote {} buffers", 900 + n.below(4000))),
    voice("pg-main", "info", 0.0, 7.0, |n| {
        format!(
            "process {} still waiting for ShareLock on transaction {} after {} ms",
            2000 + n.below(900),
            7_340_000 + n.below(90_000),
            1000 + n.below(400)
        )
    }),
    voice("ingress-shop", "warn", 0.1, 0.1, |_| {
        "certificate for shop.example expires in less than 48 hours".to_owned()
    }),
];

/// All entries, sorted by time.
pub(super) fn entries(times: &Times) -> Vec<LogEntry> {
    let before = HISTORY.saturating_sub(TROUBLE).as_secs_f64();
    let mut entries = Vec::new();
    for (number, voice) in VOICES.iter().enumerate() {
        let mut noise = Noise::of(&[voice.service, voice.level, &number.to_string()]);
        for (begin, length, rate, replaced) in
            [(-before, before, voice.rates.0, false), (0.0, TROUBLE.as_secs_f64(), voice.rates.1, true)]
        {
            let streams = streams(voice, replaced);
            let count = (rate * length / 60.0).round() as usize;
            for index in 0..count {
                // Evenly spread, each moved within its own share of the time.
                let seconds = begin + length * (index as f64 + noise.unit()) / count as f64;
                let labels = Arc::clone(&streams[noise.below(streams.len() as u64) as usize]);
                let line = Text::new(&format!("level={} msg=\"{}\"", voice.level, (voice.line)(&mut noise)));
                entries.push(LogEntry { at: times.after(seconds), labels, line, metadata: Labels::new() });
            }
        }
    }
    entries.sort_by_key(|entry| entry.at);
    entries
}

/// The streams a kind of line may come from: one a pod.
fn streams(voice: &Voice, replaced: bool) -> Vec<Arc<Labels>> {
    let pods = SERVICES.iter().find(|service| service.name == voice.service).map_or(1, |service| service.pods);
    (0..pods)
        .map(|number| {
            let pod = match voice.service {
                "pg-main" => "pg-main-0".to_owned(),
                service => pod(service, number, replaced && service == CULPRIT),
            };
            let pairs = [("namespace", "shop"), ("pod", &pod), ("service_name", voice.service), ("level", voice.level)];
            Arc::new(pairs.into_iter().collect())
        })
        .collect()
}
