//! `record`: an incident from live sources to a bundle.

use std::path::Path;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use crate::app::engine::Engine;
use crate::app::failure::Failure;
use crate::app::output::Output;
use crate::domain::Text;
use crate::domain::canonical::hex;
use crate::domain::query::{Note, NoteKind};
use crate::sources::bundle;
use crate::sources::recorder::Recorder;

use super::progress::Meter;
use super::views::SuspectsView;

/// Budget of the pack whose hash is printed, so that a replay can be compared with what was recorded.
const PACK_BUDGET: usize = 8_000;

/// Most bytes of recorded answers.
pub(super) const MAX_RECORDED_BYTES: usize = 512 << 20;

pub(super) async fn record(
    engine: &Engine,
    recorder: &Recorder,
    incident: Option<&str>,
    path: &Path,
    overwrite: bool,
    output: Output,
) -> Result<(), Failure> {
    if path.exists() && !overwrite {
        return Err(Failure::usage(format!("{} exists: name another place, or add --overwrite", path.display())));
    }
    let incident = engine.incident(incident).await?;
    // What was asked to find the incident is not part of it.
    recorder.take();
    let meter = Meter::new(output);
    let investigated = engine
        .investigate(incident.clone(), None, &CancellationToken::new(), |progress| meter.show(&progress))
        .await?
        .ok_or_else(|| Failure::failed("the recording was interrupted"))?;
    drop(meter);
    let recording = recorder.take();
    let (parts, mut notes) =
        crate::app::record::parts(&engine.sources, &incident, &investigated, recording.answers).await;
    if recording.dropped > 0 {
        let text = format!("{} answers were too large to keep: the replay evaluates them anew", recording.dropped);
        notes.push(Note { kind: NoteKind::Cut, text: Text::from(text) });
    }
    let counts = json!({
        "alerts": parts.alerts.len(), "series": parts.metrics.len(), "logs": parts.logs.len(),
        "changes": parts.changes.len(), "queries": parts.queries.len(),
    });
    let target = path.to_owned();
    tokio::task::spawn_blocking(move || bundle::write(&target, &parts, overwrite))
        .await
        .map_err(|error| Failure::failed(format!("writing the bundle: {error}")))?
        .map_err(|error| Failure::failed(error.to_string()))?;
    let pack = crate::context::pack(&investigated.analysis, PACK_BUDGET);
    let pack_sha256 = hex(&Sha256::digest(&pack.text));
    let document = json!({
        "path": path, "incident": incident.id, "window": incident.window, "baseline": incident.baseline,
        "recorded": counts, "packBudget": PACK_BUDGET, "packSha256": pack_sha256,
        "suspects": SuspectsView::from(&investigated.analysis), "notes": notes,
    });
    output.answer(&document, || {
        let mut text = format!("{}: {} recorded to {}\n", incident.id, incident.title.one_line(), path.display());
        text += &format!("{counts}\n");
        for note in &notes {
            text += &format!("note: {}\n", note.text);
        }
        text + &format!("look at it with: stanch --replay {}\n", path.display())
    })
}
