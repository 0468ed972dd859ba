//! What one side calls on the other beside the interfaces of the greeting.
//!
//! In reading order: [`context`] is the call that a thread is answering, whose other side an argument may refer to, and [`depth`]
//! how many calls wait for each other on it; [`interfaces`] gives numbers to interfaces that are referred to; [`lent`] is what a
//! caller lends for the time of a call, seen from the caller; [`borrowed`] is the same seen from the method that is called;
//! [`object`] is a value that the other side may hold beyond that, [`attach`] how messages refer to it, and [`remote`] the handle
//! to it on either side; [`callee`] calls what is lent or held, [`distant`] by methods; [`caller`] is what a proxy holds.

mod attach;
mod borrowed;
mod callee;
mod caller;
pub(crate) mod context;
pub(crate) mod depth;
mod distant;
pub(crate) mod interfaces;
mod lent;
pub(crate) mod object;
mod remote;

pub(crate) use attach::{Attachment, Attachments, Parcel};
pub(crate) use callee::Callee;
pub use remote::Remote;

pub use borrowed::{Function, borrow};
pub use caller::{Client, Prepared};
pub(crate) use lent::Lending;
pub use lent::{Lent, LentByTask, lend, lend_function, returned};
