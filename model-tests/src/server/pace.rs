//! How quick methods are: what the scheduler likes.

use shuttle::rand::Rng;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) target: u32,
    pub(super) method: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    Unknown,
    Quick,
    Slow,
}

pub(super) struct Paces;

impl Paces {
    #[expect(clippy::unused_self, reason = "as the plugin's own")]
    pub(super) fn of(&self, _place: Place) -> Pace {
        match shuttle::rand::thread_rng().gen_range(0..6) {
            0 => Pace::Slow,
            1 => Pace::Unknown,
            _ => Pace::Quick,
        }
    }

    #[expect(clippy::unused_self, reason = "as the plugin's own")]
    pub(super) fn is_instant(&self, _place: Place) -> bool {
        shuttle::rand::thread_rng().r#gen()
    }

    #[expect(clippy::unused_self, reason = "as the plugin's own")]
    pub(super) fn mark_slow(&self, _place: Place) {}
}
