//! What the `fetch` host and its plugin share: the interface, and the types that cross it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Fetches what is at addresses of the web.
#[plugin_core::plugin_interface(version = "1.0")]
pub trait Fetcher {
    /// What is at `url`. A fetch that nobody waits for any more is broken off.
    ///
    /// # Errors
    /// [`FetchError::BadUrl`], [`FetchError::Status`] and [`FetchError::Failed`] if there is nothing to be had there,
    /// [`FetchError::Plugin`] if the plugin cannot be asked.
    async fn fetch(&self, url: &str) -> Result<Page, FetchError>;

    /// Waits until no fetch is under way, and gives what has become of all of them.
    ///
    /// # Errors
    /// If the plugin cannot be asked.
    async fn settled(&self) -> plugin_core::Result<Tally>;

    /// What has become of all fetches so far. An ordinary method: nothing is waited for.
    ///
    /// # Errors
    /// If the plugin cannot be asked.
    fn tally(&self) -> plugin_core::Result<Tally>;
}

/// What was at an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Its media type, if it has one.
    pub media_type: Option<String>,
    /// Its bytes.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
}

/// How many fetches have come to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// They are under way.
    pub under_way: u64,
    /// They gave a page.
    pub fetched: u64,
    /// They gave an error.
    pub failed: u64,
    /// They were broken off, since nobody waited any more.
    pub cancelled: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { under_way, fetched, failed, cancelled } = self;
        write!(f, "{fetched} fetched, {failed} failed, {cancelled} cancelled, {under_way} under way")
    }
}

/// Why there is no page.
#[derive(Debug, Clone, Serialize, Deserialize, thiserror::Error)]
pub enum FetchError {
    /// The address is none.
    #[error("`{url}` is no address: {reason}")]
    BadUrl {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server does not give the page.
    #[error("the server answered `{url}` with status {status}")]
    Status {
        /// The address.
        url: String,
        /// The status of the answer.
        status: u16,
    },
    /// The server cannot be reached, or its answer is not understood.
    #[error("`{url}` could not be fetched: {reason}")]
    Failed {
        /// The address.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// The plugin could not be asked.
    #[error(transparent)]
    Plugin(#[from] plugin_core::Error),
}
