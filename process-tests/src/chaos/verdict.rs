//! What the callers were told, held against what the plugin wrote down.

use std::fmt;

use plugin_core::Error;

use super::callers::{Called, Outcome};

/// What became of the calls of a run.
#[derive(Debug, Default)]
pub struct Verdict {
    /// How many there were.
    pub calls: u64,
    /// How many failed as "may have run".
    pub may_have_run: u64,
    /// How many of those had run.
    pub had_run: u64,
    /// How many failed as "did not run".
    pub did_not_run: u64,
    /// Each call without its answer: none, another's, or one to what never ran; and why that is known.
    pub lost: Vec<String>,
    /// Each call that ran more than once, or would if called again as the error allows; and why that is known.
    pub repeated: Vec<String>,
}

impl Verdict {
    /// Of a run in which calls may fail with errors that `may_come`.
    pub(super) fn of(called: &[Called], journal: &[u64], may_come: fn(&Error) -> bool) -> Self {
        // Ids are given out from 0.
        let mut runs = vec![0_u32; called.len()];
        let mut verdict = Self { calls: called.len() as u64, ..Self::default() };
        for id in journal {
            match usize::try_from(*id).ok().and_then(|id| runs.get_mut(id)) {
                Some(runs) => *runs += 1,
                None => verdict.repeated.push(format!("call {id} ran and nobody had made it")),
            }
        }
        for call in called {
            verdict.judge(call, usize::try_from(call.id).map_or(0, |id| runs[id]), may_come);
        }
        verdict
    }

    fn judge(&mut self, call: &Called, runs: u32, may_come: fn(&Error) -> bool) {
        let id = call.id;
        if runs > 1 {
            self.repeated.push(format!("call {id} ran {runs} times: {:?}", call.outcome));
        }
        match &call.outcome {
            Outcome::Right if runs == 0 => self.lost.push(format!("call {id} was answered and never ran")),
            Outcome::Right => {}
            Outcome::Wrong => self.lost.push(format!("call {id} got another answer than its own")),
            Outcome::Failed(error) if !may_come(error) => self.lost.push(format!("call {id} failed: {error}")),
            Outcome::Failed(error) if error.may_have_run() => {
                self.may_have_run += 1;
                self.had_run += u64::from(runs > 0);
            }
            Outcome::Failed(error) => {
                self.did_not_run += 1;
                if runs > 0 {
                    self.repeated.push(format!("call {id} ran, and its error denies that: {error}"));
                }
            }
        }
    }

    /// Whether every call is as it should be.
    pub fn is_clean(&self) -> bool {
        self.lost.is_empty() && self.repeated.is_empty()
    }
}

/// Whether the error is one that a plugin's death brings.
pub(super) fn is_death(error: &Error) -> bool {
    matches!(error, Error::Died { .. } | Error::Disconnected { .. })
}

/// Says it in a line.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, may_have_run, had_run, did_not_run, lost, repeated } = self;
        let answered = calls - may_have_run - did_not_run - lost.len() as u64;
        write!(f, "{calls} calls: {answered} answered, {may_have_run} may have run ({had_run} had), ")?;
        write!(f, "{did_not_run} did not run; lost {}, repeated {}", lost.len(), repeated.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(outcomes: impl IntoIterator<Item = Outcome>) -> Vec<Called> {
        (0..).zip(outcomes).map(|(id, outcome)| Called { id, outcome }).collect()
    }

    fn died(may_have_run: bool) -> Outcome {
        let (plugin, method) = ("ledger".into(), "enter".into());
        Outcome::Failed(Box::new(Error::Died { plugin, method, may_have_run, report: std::sync::Arc::default() }))
    }

    /// How many are lost, and how many repeated.
    fn found(verdict: &Verdict) -> (usize, usize) {
        (verdict.lost.len(), verdict.repeated.len())
    }

    #[test]
    fn what_is_as_told_is_no_finding() {
        let called = called([Outcome::Right, died(true), died(true), died(false)]);
        let verdict = Verdict::of(&called, &[1, 0], is_death);
        assert_eq!(found(&verdict), (0, 0), "{verdict:?}");
        assert_eq!((verdict.may_have_run, verdict.had_run, verdict.did_not_run), (2, 1, 1));
        assert_eq!(
            verdict.to_string(),
            "4 calls: 1 answered, 2 may have run (1 had), 1 did not run; lost 0, repeated 0"
        );
    }

    #[test]
    fn what_is_not_as_told_is_found() {
        let of_cuts = |outcome, journal: &[u64]| found(&Verdict::of(&called([outcome]), journal, |_| false));
        let of_kills = |outcome, journal: &[u64]| found(&Verdict::of(&called([outcome]), journal, is_death));
        assert_eq!(of_cuts(Outcome::Right, &[]), (1, 0), "answered and never ran");
        assert_eq!(of_cuts(Outcome::Right, &[0, 0]), (0, 1), "ran twice");
        assert_eq!(of_cuts(Outcome::Right, &[0, 7]), (0, 1), "ran and was never called");
        assert_eq!(of_cuts(Outcome::Wrong, &[0]), (1, 0), "another's answer");
        assert_eq!(of_cuts(died(true), &[]), (1, 0), "nobody died");
        assert_eq!(of_kills(died(true), &[0, 0]), (0, 1), "ran twice");
        assert_eq!(of_kills(died(false), &[0]), (0, 1), "ran, though it was said not to");
        assert_eq!(of_kills(Outcome::Failed(Box::new(Error::custom("no"))), &[0]), (1, 0), "failed otherwise");
    }
}
