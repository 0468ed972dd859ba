//! Windows' job objects: a process and everything it starts, ended together, at the latest with the host.

use std::{
    io,
    os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle},
    ptr,
};

use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectExtendedLimitInformation, SetInformationJobObject,
    TerminateJobObject,
};

/// A job whose processes are ended when its last handle closes, be it by the end of this process.
#[derive(Debug)]
pub(super) struct Job(OwnedHandle);

#[expect(unsafe_code, reason = "job objects have no safe interface in the standard library")]
impl Job {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: both pointers may be null: default security, no name.
        let handle = unsafe { CreateJobObjectW(ptr::null(), ptr::null()) };
        if handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the handle was just created, is valid, and is owned by nobody else.
        let job = Self(unsafe { OwnedHandle::from_raw_handle(handle) });
        job.end_with_last_handle()?;
        Ok(job)
    }

    fn end_with_last_handle(&self) -> io::Result<()> {
        let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
        let length = u32::try_from(size_of_val(&limits)).map_err(io::Error::other)?;
        // SAFETY: `limits` is of the type that this class of information asks for, and `length` is its size.
        let done = unsafe {
            SetInformationJobObject(
                self.0.as_raw_handle(),
                JobObjectExtendedLimitInformation,
                ptr::from_ref(&limits).cast(),
                length,
            )
        };
        if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    pub(super) fn assign(&self, process: &std::process::Child) -> io::Result<()> {
        // SAFETY: both handles are open as long as their owners, which outlive the call.
        let done = unsafe { AssignProcessToJobObject(self.0.as_raw_handle(), process.as_raw_handle()) };
        if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Ends all processes of the job with status 1. Fails only where none is left.
    pub(super) fn terminate(&self) {
        // SAFETY: the handle is open as long as `self`.
        let _ = unsafe { TerminateJobObject(self.0.as_raw_handle(), 1) };
    }
}
