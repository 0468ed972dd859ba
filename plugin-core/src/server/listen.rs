//! A plugin that was started by hand to wait for hosts, mostly under a debugger.

use std::{io, path::Path, sync::Arc, thread};

use super::{
    Executor, Service,
    guests::{Awaiting, Guests},
    serve::{begin_session, greet, hello, serve_session},
    stop::Stop,
};
use crate::{
    Error, Result,
    interface::Dispatch,
    objects::interfaces,
    transport::local::{LocalLink, LocalListener},
};

/// How many hosts may be attached at once, and as many may be at the door to come back.
const MAX_HOSTS: usize = 64;

/// Serves every host that attaches at `address`, until the process is ended from outside.
pub(super) fn serve(dispatchers: &[Arc<dyn Dispatch>], address: &Path, executor: &Executor) -> Result<()> {
    let listener = bind(address)?;
    #[expect(clippy::print_stderr, reason = "it was started by hand, and whoever did waits for this line")]
    {
        eprintln!("waiting for a host to attach at {}", address.display());
    }
    let guests = Arc::<Guests>::default();
    loop {
        match listener.accept() {
            Ok(link) if is_room_for_another(&guests) => {
                let (dispatchers, guests, executor) = (dispatchers.to_vec(), Arc::clone(&guests), executor.clone());
                let serving = thread::Builder::new().name("plugin-core session".into()).spawn(move || {
                    if let Err(error) = serve_one(link, dispatchers, &guests, executor) {
                        tracing::warn!(%error, "a host could not attach");
                    }
                });
                drop(serving);
            }
            Ok(_) => tracing::warn!("{MAX_HOSTS} hosts are attached, another was turned away"),
            Err(error) => {
                // Mostly too many open files: waiting lets sessions end, spinning would not.
                tracing::warn!(%error, "could not accept a host");
                thread::sleep(std::time::Duration::from_millis(100));
            }
        }
    }
}

/// Whether one more may be greeted. Every thread that serves one holds the guests, and so they are counted.
fn is_room_for_another(guests: &Arc<Guests>) -> bool {
    let present = Arc::strong_count(guests) - 1;
    present < MAX_HOSTS || (present < 2 * MAX_HOSTS && guests.are_awaited())
}

fn serve_one(link: LocalLink, dispatchers: Vec<Arc<dyn Dispatch>>, guests: &Guests, executor: Executor) -> Result<()> {
    if !link.is_same_user() {
        return Err(Error::custom("it belongs to another user"));
    }
    let stop = Arc::<Stop>::default();
    let interfaces = dispatchers.iter().map(|dispatcher| interfaces::entry(dispatcher.descriptor())).collect();
    let host = greet(link, &hello(interfaces, String::new()), "the host", || {})?;
    if host.welcome.resume {
        return guests.resume(host).map_err(Error::custom);
    }
    let service = Service::new(dispatchers, Arc::clone(&stop), executor);
    let session = host.welcome.session.clone();
    let connection = begin_session(host, &service, &stop, Awaiting)?;
    let _registration = guests.register(session, &connection);
    serve_session(&connection, &service, &stop, || {})
}

fn bind(address: &Path) -> Result<LocalListener> {
    let failed = |message: &str, source| Error::Attach {
        address: address.display().to_string(),
        message: message.into(),
        source,
    };
    crate::transport::private_directory(address).map_err(|message| failed(&message, None))?;
    match LocalListener::bind(address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            match LocalLink::dial(address) {
                // What a plugin that was killed left behind: a socket where nobody answers.
                Err(refused) if refused.kind() == io::ErrorKind::ConnectionRefused && is_socket(address) => {
                    std::fs::remove_file(address).and_then(|()| LocalListener::bind(address))
                }
                Ok(_) => {
                    return Err(failed("another plugin is listening there already", Some(Arc::new(error))));
                }
                Err(_) => return Err(failed("there is something else already", Some(Arc::new(error)))),
            }
        }
        outcome => outcome,
    }
    .map_err(|error| failed("it cannot be listened at", Some(Arc::new(error))))
}

#[cfg(unix)]
fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

/// Pipes vanish with their process.
#[cfg(windows)]
fn is_socket(_path: &Path) -> bool {
    false
}
