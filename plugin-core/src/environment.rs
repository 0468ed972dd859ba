//! The environment variables between a host and its plugins.

/// Where a plugin finds its host: the path of a socket, on Windows the name of a pipe.
pub(crate) const SOCKET: &str = "PLUGIN_CORE_SOCKET";

/// What a plugin proves with that this host started it: 64 hexadecimal digits.
pub(crate) const TOKEN: &str = "PLUGIN_CORE_TOKEN";

/// Whether there are time limits; set to `1`: none, so that one can sit in a debugger.
pub(crate) const DEBUG: &str = "PLUGIN_CORE_DEBUG";

/// Where a plugin that is started by hand waits for hosts to attach.
pub(crate) const LISTEN: &str = "PLUGIN_CORE_LISTEN";
