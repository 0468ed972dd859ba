//! What is left when all callers have ended.

use std::{sync::Arc, time::Duration};

use plugin_core::{Info, Plugin};

use super::verdict::Findings;
use crate::{eventually, ledger::Ledger};

/// How long what nobody holds any more may take to go.
const LIMIT: Duration = Duration::from_secs(20);

/// Looks whether a plugin that lives and its host let go of everything of each other's.
pub(super) fn look_for_leaks(plugin: &Plugin<dyn Ledger>, findings: &mut Findings) {
    let held = || {
        let Info { objects_given, objects_held, .. } = Plugin::process(plugin).info();
        (objects_given, objects_held)
    };
    if !eventually(LIMIT, || held() == (0, 0)) {
        let (given, held) = held();
        findings.leaked.push(format!("the plugin holds {given} objects and streams of the host, which holds {held}"));
    }
    let mut left = plugin.leftovers();
    eventually(LIMIT, || {
        left = plugin.leftovers();
        !matches!(left, Ok((1.., _) | (_, 1..)))
    });
    match left {
        Ok((0, 0)) => {}
        Ok((own, kept)) => {
            findings.leaked.push(format!("of the plugin's there are {own}, and it keeps {kept} of the host's"));
        }
        Err(error) => findings.lost.push(format!("asking what is left failed: {error}")),
    }
}

/// Looks whether anything of the host's is left when there is no plugin any more: what holds `guard` beside the caller.
pub(super) fn look_for_leaks_of_host(guard: &Arc<()>, findings: &mut Findings) {
    let left = || Arc::strong_count(guard) - 1;
    if !eventually(LIMIT, || left() == 0) {
        findings.leaked.push(format!("{} streams and objects of the host's are held by no plugin", left()));
    }
}
