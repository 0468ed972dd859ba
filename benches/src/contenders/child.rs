//! Starting this program as a plugin, and ending it.

use std::{
    env,
    process::{self, Command, Stdio},
};

use crate::Result;

/// A plugin process that ends when this is dropped, and when the host is gone.
pub(crate) struct Child(process::Child);

impl Child {
    /// What starts the plugin of the contender `name`, to serve at `address`.
    pub(crate) fn command(name: &str, address: &str) -> Result<Command> {
        let mut command = Command::new(env::current_exe()?);
        command.args(["child", name, address]);
        Ok(command)
    }

    /// Starts it.
    pub(crate) fn start(name: &str, address: &str) -> Result<Self> {
        // Standard output is where the host answers its orders.
        Ok(Self(Self::command(name, address)?.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?))
    }

    /// Looks after a process whose standard input is not the host's.
    #[cfg(feature = "peers")]
    pub(crate) fn of(process: process::Child) -> Self {
        Self(process)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself; to reap it is all that is left then.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
