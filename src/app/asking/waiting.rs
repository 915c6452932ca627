//! How long a question stands where it stands: a model that thinks for a minute and one that hangs look alike where no
//! seconds are counted.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::Text;
use crate::domain::question::Asking;

/// How often it is counted.
const TICK: Duration = Duration::from_secs(1);

/// How far a question is, and since when.
#[derive(Default)]
pub(in crate::app) struct Waiting {
    last: Mutex<Option<(Asking, Instant)>>,
}

impl Waiting {
    /// Takes in how far it is; hands it on with the seconds that it stands there.
    pub(in crate::app) fn heard(&self, asking: Asking) -> Asking {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |(before, _): &&(Asking, Instant)| before.stage == asking.stage && before.steps == asking.steps;
        let since = last.as_ref().filter(same).map_or_else(Instant::now, |(_, since)| *since);
        let (asking, _) = last.insert((asking, since));
        counted(asking, since)
    }

    /// Does `work`, and meanwhile tells every second how long it stands there.
    pub(in crate::app) async fn beside<T>(&self, work: impl Future<Output = T>, tell: impl Fn(Asking)) -> T {
        let count = async {
            loop {
                tokio::time::sleep(TICK).await;
                let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if let Some((asking, since)) = last {
                    tell(counted(&asking, since));
                }
            }
        };
        tokio::select! {
            biased;
            result = work => result,
            () = count => unreachable!("it never ends"),
        }
    }
}

fn counted(asking: &Asking, since: Instant) -> Asking {
    let seconds = since.elapsed().as_secs();
    let stage = if seconds == 0 || asking.stage.is_empty() {
        asking.stage.clone()
    } else {
        Text::from(format!("{} · {seconds} s", asking.stage))
    };
    Asking { stage, ..asking.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(stage: &str) -> Asking {
        Asking { stage: stage.into(), ..Asking::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn seconds_are_counted_of_each_stage_anew() {
        let (waiting, told) = (Waiting::default(), Mutex::new(Vec::new()));
        let tell = |asking: Asking| told.lock().unwrap().push(asking.stage.to_string());
        let work = async {
            tell(waiting.heard(at("the model thinks")));
            tokio::time::sleep(Duration::from_millis(2_500)).await;
            tell(waiting.heard(at("the model thinks")));
            tell(waiting.heard(at("the model writes")));
            tokio::time::sleep(Duration::from_secs(1)).await;
        };
        waiting.beside(work, tell).await;
        let told = told.into_inner().unwrap();
        let thinks = ["the model thinks", "the model thinks · 1 s", "the model thinks · 2 s", "the model thinks · 2 s"];
        assert_eq!(told[..4], thinks);
        assert_eq!(told[4], "the model writes");
    }
}
