//! Where in the text a record is wrong.
//!
//! The csv crate tells the record; somebody who has to mend the file wants the line and the column. It also takes the rest
//! of the file for one field where a quote is never closed, which is hardly ever meant.

use convert_api::ConvertError;
use csv::{Error, ErrorKind, Position, StringRecord};

/// What the reader refused, and where.
pub(crate) fn explain(source: &str, error: &Error) -> ConvertError {
    let ErrorKind::UnequalLengths { pos: Some(position), expected_len, len } = error.kind() else {
        return plugin_core::Error::custom(error).into();
    };
    let fields = match Fields::of_record(source, position) {
        Ok(fields) => fields,
        Err(open_quote) => return open_quote,
    };
    // The first field too many, or where the next one is missing.
    let place = usize::try_from(*expected_len).ok().and_then(|expected| fields.starts.get(expected).copied());
    let plural = if *len == 1 { "" } else { "s" };
    let message = format!("this record has {len} field{plural}, the first one has {expected_len}");
    ConvertError::after(&source[..place.unwrap_or(fields.end)], message)
}

/// Refuses the last record if it is the last only because a quote in it is never closed.
pub(crate) fn check_last(source: &str, record: &StringRecord) -> Result<(), ConvertError> {
    record.position().map_or(Ok(()), |position| Fields::of_record(source, position).map(drop))
}

/// Where the parts of one record are, in bytes of the source.
struct Fields {
    starts: Vec<usize>,
    end: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// At the start of a field.
    Start,
    /// In text without quotes, where a quote is text too.
    Text,
    /// In a quoted field.
    Quoted,
    /// After a quote in a quoted field: it ends the field, unless another one follows.
    Closed,
}

impl Fields {
    /// The fields of the record at `position`, or the quote that is never closed.
    fn of_record(source: &str, position: &Position) -> Result<Self, ConvertError> {
        let position = usize::try_from(position.byte()).unwrap_or(source.len());
        let blank = source.bytes().skip(position).take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let start = position + blank;
        let (mut starts, mut state) = (vec![start], State::Start);
        for (place, byte) in source.bytes().enumerate().skip(start) {
            state = match (state, byte) {
                (State::Quoted, b'"') => State::Closed,
                (State::Quoted, _) | (State::Start | State::Closed, b'"') => State::Quoted,
                (_, b'\r' | b'\n') => return Ok(Self { starts, end: place }),
                (_, b',') => {
                    starts.push(place + 1);
                    State::Start
                }
                _ => State::Text,
            };
        }
        match starts.last() {
            Some(&open) if state == State::Quoted => {
                Err(ConvertError::after(&source[..open], "this quote is never closed"))
            }
            _ => Ok(Self { starts, end: source.len() }),
        }
    }
}
