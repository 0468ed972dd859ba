//! Fetching many pages at once.

use std::{
    fmt,
    time::{Duration, Instant},
};

use fetch_api::{FetchError, Fetcher, Tally};
use plugin_core::{Plugin, within_async};
use tokio::task::JoinSet;

use crate::{Failure, progress::Progress, site::Site};

/// How long the page that never comes is waited for.
const PATIENCE: Duration = Duration::from_millis(300);

/// What came of all of it.
pub(crate) struct Summary {
    pages: Pages,
    /// Why there is no endless page.
    endless: FetchError,
    tally: Tally,
}

/// What came of the pages that do come.
#[derive(Default)]
struct Pages {
    count: usize,
    bytes: usize,
    took: Duration,
    /// What each took, together.
    waits: Duration,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pages: Pages { count, bytes, took, waits }, endless, tally } = self;
        let (took, waits) = (took.as_secs_f64(), waits.as_secs_f64());
        writeln!(f, "{count} pages, {bytes} bytes, in {took:.2} s; their waits add up to {waits:.2} s")?;
        writeln!(f, "the endless page: {endless}")?;
        writeln!(f, "the plugin counts: {tally}")
    }
}

/// Fetches `count` pages of `site`, all at once, and one that never comes.
pub(crate) async fn fetch(fetcher: &Plugin<dyn Fetcher>, site: &Site, count: usize) -> Result<Summary, Failure> {
    let progress = Progress::start(fetcher.clone(), count);
    let endless = site.endless();
    let (pages, endless) =
        tokio::join!(fetch_pages(fetcher, site, count), within_async(PATIENCE, fetcher.fetch(&endless)));
    let tally = fetcher.settled().await?;
    tokio::task::spawn_blocking(|| drop(progress)).await?;
    let Err(endless) = endless else { return Err(Failure::Endless) };
    Ok(Summary { pages: pages?, endless, tally })
}

/// Fetches each page in a task of its own.
async fn fetch_pages(fetcher: &Plugin<dyn Fetcher>, site: &Site, count: usize) -> Result<Pages, Failure> {
    let (mut tasks, started) = (JoinSet::new(), Instant::now());
    for number in 0..count {
        let (fetcher, url) = (fetcher.clone(), site.page(number));
        tasks.spawn(async move {
            let began = Instant::now();
            fetcher.fetch(&url).await.map(|page| (page, began.elapsed()))
        });
    }
    let mut pages = Pages::default();
    while let Some(fetched) = tasks.join_next().await {
        let (page, took) = fetched??;
        pages.count += 1;
        pages.bytes += page.body.len();
        pages.waits += took;
    }
    pages.took = started.elapsed();
    Ok(pages)
}
