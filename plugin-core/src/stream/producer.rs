//! Encoding the items of a stream, whatever their type.

use std::task::{Context, Poll};

use serde::Serialize;

use super::{
    ending::Ending,
    runtime::Runtime,
    source::{Read, Source},
};
use crate::{codec::encode_item, protocol::items::Packer};

/// What has come of looking for more.
#[derive(Debug)]
pub(crate) enum Step {
    /// There is more, to be [packed](Produce::pack).
    More,
    /// There is no more, and perhaps a reason.
    End(Option<Ending>),
}

/// Where the bytes of a stream come from.
pub(crate) trait Produce: Send {
    /// Looks for more; [blocks](Self::blocks) perhaps.
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<Step>;

    /// Encodes what was found, in at most `max_item` bytes each.
    ///
    /// # Errors
    /// When that is impossible, and thus the stream's end.
    fn pack(&mut self, to: &mut Packer, max_item: usize) -> Result<(), Ending>;

    /// Whether looking for more blocks a task.
    fn blocks(&self) -> bool;

    /// Whether little bytes at once are worth waiting for others.
    fn gathers(&self) -> bool;

    /// Where it is to be polled.
    fn runtime(&self) -> Runtime;
}

/// The items of a stream, to be encoded.
pub(super) struct Items<T> {
    source: Source<T>,
    /// What was found.
    item: Option<T>,
}

impl<T> Items<T> {
    pub(super) fn new(source: Source<T>) -> Self {
        Self { source, item: None }
    }
}

impl<T: Serialize + Send + 'static> Produce for Items<T> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        self.source.poll_read(context).map(|read| match read {
            Read::Item(item) => {
                self.item = Some(item);
                Step::More
            }
            Read::End => Step::End(None),
            Read::Failed(error) | Read::Late(error) => Step::End(Some(Ending::Error(error))),
        })
    }

    fn pack(&mut self, to: &mut Packer, max_item: usize) -> Result<(), Ending> {
        let Some(item) = self.item.take() else { return Ok(()) };
        to.item(max_item, |encoder| encode_item(&item, encoder)).map_err(|error| Ending::unencodable(&error))
    }

    fn blocks(&self) -> bool {
        self.source.blocks()
    }

    fn gathers(&self) -> bool {
        true
    }

    fn runtime(&self) -> Runtime {
        self.source.runtime()
    }
}
