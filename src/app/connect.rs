//! From a profile to its sources.

use std::sync::Arc;

use crate::config::Profile;
use crate::domain::settings::Secrets;
use crate::sources::Telemetry;
use crate::sources::alertmanager::Alertmanager;
use crate::sources::changes::ChangeFiles;
use crate::sources::exposition::Exposition;
use crate::sources::loki::Loki;
use crate::sources::prometheus::Prometheus;

use super::failure::Failure;

/// Makes the sources of a live profile. Nothing is connected yet; a setting that cannot work is said at once.
pub(super) fn live(
    profile: &Profile,
    secrets: &Arc<dyn Secrets>,
    telemetry: &mut Vec<Arc<dyn Telemetry>>,
) -> Result<(), Failure> {
    if let Some(settings) = &profile.alertmanager {
        telemetry.push(Arc::new(Alertmanager::new("alertmanager", settings, Arc::clone(secrets)).map_err(usage)?));
    }
    if let Some(settings) = &profile.prometheus {
        telemetry.push(Arc::new(Prometheus::new("prometheus", settings, Arc::clone(secrets)).map_err(usage)?));
    }
    if let Some(settings) = &profile.loki {
        telemetry.push(Arc::new(Loki::new("loki", settings, Arc::clone(secrets)).map_err(usage)?));
    }
    for (index, settings) in profile.exposition.iter().enumerate() {
        let name = if index == 0 { "exposition".to_owned() } else { format!("exposition-{}", index + 1) };
        telemetry.push(Arc::new(Exposition::new(&name, settings, Arc::clone(secrets)).map_err(usage)?));
    }
    if let Some(path) = &profile.changes {
        telemetry.push(Arc::new(ChangeFiles::new(path)));
    }
    Ok(())
}

fn usage(error: impl std::fmt::Display) -> Failure {
    Failure::usage(error.to_string())
}
