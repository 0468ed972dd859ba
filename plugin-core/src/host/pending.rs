//! What is under way between a host and a plugin, for those who look for leaks.

use super::{Process, instance::Body};

/// What is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// Calls that have no answer yet, those that nobody waits for any more included.
    pub calls: usize,
    /// Handlers that have not answered, where the plugin is in this process.
    pub handlers: usize,
}

/// What is under way in the present run of the plugin.
pub fn pending(process: &Process) -> Pending {
    let instance = process.handle.supervisor.last();
    let handlers = match instance.as_deref().map(|instance| &instance.body) {
        Some(Body::InProcess(service)) => service.running(),
        _ => 0,
    };
    Pending { calls: instance.map_or(0, |instance| instance.connection.pending()), handlers }
}
