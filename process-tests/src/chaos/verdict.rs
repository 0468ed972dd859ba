//! What the callers were told, held against what the plugin wrote down.

use std::fmt;

use plugin_core::Error;

use super::callers::{Called, Notes, Outcome, Patience, Reported};
use crate::ledger::{Entries, Fault, lock};

/// What happens to the plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Faults {
    /// Its connection is cut, which nobody may notice.
    Cuts,
    /// Its process is killed.
    Kills,
}

impl Faults {
    /// Whether they may bring the error to a caller of such patience.
    pub(super) fn bring(self, error: &Error, patience: Patience) -> bool {
        match error {
            _ if patience.brings(error) => true,
            _ if self == Self::Cuts => false,
            Error::Died { .. } | Error::Disconnected { .. } => true,
            // What belongs to the last process cannot be sent to the next.
            Error::BadArguments { message, .. } => message.contains("whose connection has ended"),
            _ => false,
        }
    }
}

/// What is not as it should be, and why that is known.
#[derive(Debug, Default)]
pub struct Findings {
    /// Each call without its answer: none, another's, or one to what never ran; and what did not come of a stream, or not to
    /// whom it was to be called.
    pub lost: Vec<String>,
    /// Each call that ran more than once, or would if called again as the error allows; and what came of a stream, or was called
    /// back, more than once.
    pub repeated: Vec<String>,
    /// What was still held by somebody at the end.
    pub leaked: Vec<String>,
}

impl Findings {
    pub(super) fn add(&mut self, other: Self) {
        self.lost.extend(other.lost);
        self.repeated.extend(other.repeated);
        self.leaked.extend(other.leaked);
    }

    /// Takes note of what is wrong with what came, of which so much was `expected`.
    pub(super) fn compare(&mut self, came: Entries, expected: u64, what: impl FnOnce() -> String) {
        match came.fault {
            Some(fault @ Fault::Again(_)) => self.repeated.push(format!("of {}, {fault}", what())),
            Some(fault) => self.lost.push(format!("of {}, {fault}", what())),
            None if came.count == expected => {}
            None => self.lost.push(format!("of {}, {} came, not {expected}, and no error", what(), came.count)),
        }
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &String> {
        self.lost.iter().chain(&self.repeated).chain(&self.leaked)
    }
}

/// How much went back and forth beside arguments and results.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Passed {
    /// Items of streams that were read, a stream of bytes being one.
    pub items: u64,
    /// How many streams ended before their time, each with an error that said why.
    pub ended_early: u64,
    /// How many streams their readers gave up.
    pub given_up: u64,
    /// What the plugin called of the host: closures and accounts that a call had lent it, and accounts that it held.
    pub callbacks: u64,
    /// Objects that one side gave the other.
    pub objects: u64,
}

impl Passed {
    /// Adds what others passed.
    pub fn add(&mut self, other: &Self) {
        self.items += other.items;
        self.ended_early += other.ended_early;
        self.given_up += other.given_up;
        self.callbacks += other.callbacks;
        self.objects += other.objects;
    }
}

/// Says it in a part of a line.
impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { items, ended_early, given_up, callbacks, objects } = self;
        write!(
            f,
            "{items} items ({ended_early} streams ended early, {given_up} were given up), {callbacks} callbacks, {objects} objects"
        )
    }
}

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
    /// What they passed.
    pub passed: Passed,
    /// What is not as it should be.
    pub findings: Findings,
}

impl Verdict {
    /// Of a run under such faults.
    pub(super) fn of(notes: Notes, journal: &[u64], faults: Faults) -> Self {
        let Notes { called, reported, findings, passed } = notes;
        // Ids are given out from 0.
        let mut runs = vec![0_u32; called.len()];
        let mut verdict = Self { calls: called.len() as u64, passed, findings, ..Self::default() };
        for id in journal {
            match usize::try_from(*id).ok().and_then(|id| runs.get_mut(id)) {
                Some(runs) => *runs += 1,
                None => verdict.findings.repeated.push(format!("call {id} ran and nobody had made it")),
            }
        }
        for call in &called {
            verdict.judge(call, usize::try_from(call.id).map_or(0, |id| runs[id]), faults);
        }
        for report in &reported {
            verdict.judge_report(report, faults);
        }
        verdict
    }

    fn judge(&mut self, call: &Called, runs: u32, faults: Faults) {
        let id = call.id;
        let Findings { lost, repeated, .. } = &mut self.findings;
        if runs > 1 {
            repeated.push(format!("call {id} ran {runs} times: {:?}", call.outcome));
        }
        match &call.outcome {
            Outcome::Right if runs == 0 => lost.push(format!("call {id} was answered and never ran")),
            // What was under way to a process that was killed is lost with it, which is documented.
            Outcome::Sent if runs == 0 && faults == Faults::Cuts => {
                lost.push(format!("oneway call {id} was sent and never ran"));
            }
            Outcome::Right | Outcome::Sent | Outcome::Dropped => {}
            Outcome::Wrong => lost.push(format!("call {id} got another answer than its own")),
            Outcome::Failed(error) if !faults.bring(error, call.patience) => {
                lost.push(format!("call {id} failed: {error}"));
            }
            Outcome::Failed(error) if error.may_have_run() => {
                self.may_have_run += 1;
                self.had_run += u64::from(runs > 0);
            }
            Outcome::Failed(error) => {
                self.did_not_run += 1;
                if runs > 0 {
                    repeated.push(format!("call {id} ran, and its error denies that: {error}"));
                }
            }
        }
    }

    /// Of what the plugin called of an account of the host's.
    fn judge_report(&mut self, report: &Reported, faults: Faults) {
        let Reported { id, count, is_answered, called } = report;
        let (posted, noted) = *lock(called);
        self.passed.callbacks += posted.count + noted.count;
        // What is posted was answered before the call was; what is noted may have been lost with its process.
        let must_be_noted = *is_answered && (faults == Faults::Cuts);
        for (what, came, is_whole) in [("posted", posted, *is_answered), ("noted", noted, must_be_noted)] {
            let expected = if is_whole { *count } else { came.count };
            self.findings.compare(came, expected, || format!("what call {id} {what}"));
        }
    }

    /// Whether everything is as it should be.
    pub fn is_clean(&self) -> bool {
        self.findings.all().next().is_none()
    }
}

/// Says it in a line.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, may_have_run, had_run, did_not_run, passed, findings } = self;
        let Findings { lost, repeated, leaked } = findings;
        let answered = calls.saturating_sub(may_have_run + did_not_run + lost.len() as u64);
        write!(f, "{calls} calls: {answered} answered, {may_have_run} may have run ({had_run} had), ")?;
        write!(f, "{did_not_run} did not run; {passed}; ")?;
        write!(f, "lost {}, repeated {}, leaked {}", lost.len(), repeated.len(), leaked.len())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn called(outcomes: impl IntoIterator<Item = Outcome>) -> Vec<Called> {
        (0..).zip(outcomes).map(|(id, outcome)| Called { id, patience: Patience::Full, outcome }).collect()
    }

    fn died(may_have_run: bool) -> Outcome {
        let (plugin, method) = ("ledger".into(), "enter".into());
        Outcome::Failed(Box::new(Error::Died { plugin, method, may_have_run, report: Arc::default() }))
    }

    fn judged(called: Vec<Called>, journal: &[u64], faults: Faults) -> Verdict {
        Verdict::of(Notes { called, ..Notes::default() }, journal, faults)
    }

    /// How many are lost, and how many repeated.
    fn found(verdict: &Verdict) -> (usize, usize) {
        (verdict.findings.lost.len(), verdict.findings.repeated.len())
    }

    #[test]
    fn what_is_as_told_is_no_finding() {
        let called = called([Outcome::Right, died(true), died(true), died(false), Outcome::Sent]);
        let verdict = judged(called, &[1, 0], Faults::Kills);
        assert_eq!(found(&verdict), (0, 0), "{verdict:?}");
        assert_eq!((verdict.may_have_run, verdict.had_run, verdict.did_not_run), (2, 1, 1));
        assert_eq!(
            verdict.to_string(),
            "5 calls: 2 answered, 2 may have run (1 had), 1 did not run; 0 items (0 streams ended early, 0 were given up), 0 callbacks, \
             0 objects; lost 0, repeated 0, leaked 0"
        );
    }

    #[test]
    fn what_is_not_as_told_is_found() {
        let of_cuts = |outcome, journal: &[u64]| found(&judged(called([outcome]), journal, Faults::Cuts));
        let of_kills = |outcome, journal: &[u64]| found(&judged(called([outcome]), journal, Faults::Kills));
        assert_eq!(of_cuts(Outcome::Right, &[]), (1, 0), "answered and never ran");
        assert_eq!(of_cuts(Outcome::Right, &[0, 0]), (0, 1), "ran twice");
        assert_eq!(of_cuts(Outcome::Right, &[0, 7]), (0, 1), "ran and was never called");
        assert_eq!(of_cuts(Outcome::Sent, &[]), (1, 0), "a cut loses no oneway call");
        assert_eq!(of_kills(Outcome::Sent, &[0, 0]), (0, 1), "ran twice");
        assert_eq!(of_cuts(Outcome::Wrong, &[0]), (1, 0), "another's answer");
        assert_eq!(of_cuts(died(true), &[]), (1, 0), "nobody died");
        assert_eq!(of_kills(died(true), &[0, 0]), (0, 1), "ran twice");
        assert_eq!(of_kills(died(false), &[0]), (0, 1), "ran, though it was said not to");
        assert_eq!(of_kills(Outcome::Failed(Box::new(Error::custom("no"))), &[0]), (1, 0), "failed otherwise");
    }

    #[test]
    fn what_an_account_was_told_is_held_against_what_it_was_to_be_told() {
        let reported = |posted, noted, is_answered, faults| {
            let came = |count| Entries { count, fault: None };
            let called = Arc::new(Mutex::new((came(posted), came(noted))));
            let reported = vec![Reported { id: 0, count: 3, is_answered, called }];
            found(&Verdict::of(Notes { reported, ..Notes::default() }, &[], faults))
        };
        assert_eq!(reported(3, 3, true, Faults::Cuts), (0, 0));
        assert_eq!(reported(3, 2, true, Faults::Cuts), (1, 0), "a note is missing");
        assert_eq!(reported(2, 3, true, Faults::Kills), (1, 0), "it was answered before it was done");
        assert_eq!(reported(2, 1, false, Faults::Kills), (0, 0));
    }
}
