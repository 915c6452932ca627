//! Where commands are offered.

use super::Place;
use crate::core::model::Model;
use crate::core::screen::Pane;

pub(super) const fn always(_: &Model) -> Option<String> {
    None
}

pub(super) const fn anywhere(_: Place) -> bool {
    true
}

pub(super) const fn lists(place: Place) -> bool {
    matches!(place, Place::Board | Place::Pane(_) | Place::FirstRun | Place::Queue | Place::Chat)
}

pub(super) const fn scrolls(place: Place) -> bool {
    !matches!(place, Place::Run | Place::Palette | Place::Sign | Place::Paste)
}

pub(super) const fn texts(place: Place) -> bool {
    matches!(place, Place::Detail | Place::Pack | Place::Sources)
}

pub(super) const fn browsing(place: Place) -> bool {
    !matches!(place, Place::Run | Place::Palette | Place::Help | Place::FirstRun | Place::Sign | Place::Paste)
}

pub(super) const fn copied(place: Place) -> bool {
    browsing(place) && !matches!(place, Place::Queue)
}

pub(super) const fn queue(place: Place) -> bool {
    matches!(place, Place::Queue)
}

pub(super) const fn panes(place: Place) -> bool {
    matches!(place, Place::Pane(_))
}

pub(super) const fn incident(place: Place) -> bool {
    matches!(place, Place::Board | Place::Pane(_))
}

pub(super) const fn chat(place: Place) -> bool {
    matches!(place, Place::Chat)
}

pub(super) const fn searchable(place: Place) -> bool {
    matches!(place, Place::Board | Place::Pane(_) | Place::Detail | Place::Pack)
}

pub(super) const fn sideways(place: Place) -> bool {
    matches!(place, Place::Pane(Pane::Logs | Pane::Diagnosis) | Place::Detail | Place::Chat)
}

pub(super) const fn markable(place: Place) -> bool {
    matches!(place, Place::Pane(Pane::Evidence))
}

pub(super) const fn wraps(place: Place) -> bool {
    matches!(place, Place::Pane(Pane::Logs) | Place::Detail)
}

pub(super) const fn proofs(place: Place) -> bool {
    matches!(place, Place::Detail)
}

pub(super) const fn numbered(place: Place) -> bool {
    matches!(place, Place::Pane(_) | Place::Detail)
}

pub(super) const fn first_run(place: Place) -> bool {
    matches!(place, Place::FirstRun)
}
