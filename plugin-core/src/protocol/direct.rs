//! Receiving large messages without a copy: the payload of a fragment goes straight to where its message grows.
//!
//! A fragment counts when it is complete, and not before: a message does not grow by half a one. What has been received of it
//! is known to the [`Deframer`] of the link alone, and forgotten with the link; it comes again on the next.

use super::{
    Violation,
    frame::{Deframer, Header},
    incoming::Incoming,
    message::Message,
};

/// A fragment that was received.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fragment {
    pub(crate) header: Header,
    /// The message that it completes.
    pub(crate) message: Option<Message>,
}

/// Receives more of a fragment that has begun and whose message has, by `read`, which is given the place for the rest of the
/// payload and a place for the header behind it, and says how many bytes it has put there. To be used where
/// [`Deframer::next`] finds no frame.
pub(crate) fn receive(
    deframer: &mut Deframer,
    incoming: &mut Incoming,
    read: impl FnOnce(&mut [u8], &mut [u8]) -> usize,
) -> Result<Option<Fragment>, Violation> {
    deframer.expect_more(incoming.is_partial());
    let Some(header) = deframer.unfinished() else { return Ok(None) };
    let Some(place) = incoming.continuation(&header)? else { return Ok(None) };
    if !deframer.divert(header, place, read) {
        return Ok(None);
    }
    Ok(Some(Fragment { header, message: incoming.continued(&header) }))
}
