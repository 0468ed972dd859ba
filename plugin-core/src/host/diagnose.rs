//! Why a program would not start, told apart by what the user has to do about it.

use std::{
    env,
    ffi::OsStr,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use crate::Error;

/// Turns the operating system's refusal to start `command` into an error that says what is wrong.
pub(super) fn spawn_error(command: &Command, error: io::Error) -> Error {
    let program = command.get_program().to_string_lossy().into_owned();
    let found = find(command);
    if let Some(error) = found.as_deref().and_then(|path| wrong_machine(&program, path)) {
        return error;
    }
    let source = Arc::new(error);
    match (source.kind(), found) {
        // Of a search, "permission denied" can mean no more than that one of the directories may not be searched.
        (io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied, None) if is_searched(command) => {
            let looked = searched(command);
            Error::NotFound { program, looked, source }
        }
        (io::ErrorKind::NotFound, None) => {
            let looked = looked(Path::new(&program));
            Error::NotFound { program, looked, source }
        }
        (io::ErrorKind::PermissionDenied, _) => Error::NotExecutable { program, source },
        // Found, yet "not found": the working directory, or the interpreter that its first line names, is missing.
        _ => Error::Spawn { program, source },
    }
}

/// Whether the program is a name to be looked for in PATH.
fn is_searched(command: &Command) -> bool {
    let program = Path::new(command.get_program());
    program.components().count() <= 1 && !program.as_os_str().is_empty()
}

/// Where a program that is in none of the directories was looked for.
fn searched(command: &Command) -> String {
    let is_closed = |candidate: &PathBuf| {
        fs::metadata(candidate).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    };
    let closed: Vec<_> = candidates(command)
        .filter(is_closed)
        .filter_map(|candidate| candidate.parent().map(|directory| format!("`{}`", directory.display())))
        .collect();
    let closed = match &closed[..] {
        [] => String::new(),
        closed => format!(", of which this user may not search {}", closed.join(", ")),
    };
    let program = Path::new(command.get_program()).display();
    format!(" in PATH{closed} (write `./{program}` for one in the working directory)")
}

/// The places where a program that is to be looked for in PATH may be.
fn candidates(command: &Command) -> impl Iterator<Item = PathBuf> {
    let program = Path::new(command.get_program());
    let own = command.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, value)| value);
    let path = own.map(OsStr::to_owned).or_else(|| env::var_os("PATH")).unwrap_or_default();
    let directories: Vec<_> = env::split_paths(&path).collect();
    directories.into_iter().map(move |directory| directory.join(program))
}

/// Where a program that is not there was expected.
fn looked(program: &Path) -> String {
    match env::current_dir() {
        Ok(directory) if program.is_relative() => format!(" in `{}`", directory.display()),
        _ => String::new(),
    }
}

/// Whether the file behind `command` is for another machine; such a one can also start and fail, where an emulator or a
/// shell takes it up.
pub(super) fn machine_error(command: &Command) -> Option<Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    wrong_machine(&program, &find(command)?)
}

/// The file that the operating system would run.
fn find(command: &Command) -> Option<PathBuf> {
    if is_searched(command) {
        return candidates(command).find(|candidate| candidate.is_file());
    }
    let program = Path::new(command.get_program());
    program.exists().then(|| program.to_owned())
}

fn wrong_machine(program: &str, path: &Path) -> Option<Error> {
    // Opening what is no plain file could wait for ever.
    fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let mut head = Vec::new();
    fs::File::open(path).ok()?.take(20).read_to_end(&mut head).ok()?;
    let found = machine(&head)?;
    let expected = this_machine()?;
    (found != expected).then(|| Error::WrongMachine {
        program: program.into(),
        found: found.describe(),
        expected: expected.describe(),
    })
}

/// An executable format and the processor it is for.
#[derive(Debug, PartialEq, Eq)]
struct Machine {
    format: &'static str,
    /// As the format numbers it; 0 where this host runs them all or the header is elsewhere.
    processor: u32,
}

impl Machine {
    fn describe(&self) -> String {
        match processor_name(self) {
            Some(name) => format!("an {} executable for {name}", self.format),
            None => format!("an {} executable", self.format),
        }
    }
}

fn machine(head: &[u8]) -> Option<Machine> {
    let format = match head.get(..4)? {
        [0x7f, b'E', b'L', b'F'] => "ELF",
        [0xcf, 0xfa, 0xed, 0xfe] => "Mach-O",
        [0xca, 0xfe, 0xba, 0xbe] => return Some(Machine { format: "Mach-O", processor: 0 }),
        [b'M', b'Z', ..] => return Some(Machine { format: "MS-DOS or Windows", processor: 0 }),
        _ => return None,
    };
    let processor = match (format, head.get(5)) {
        ("ELF", Some(1)) => u16::from_le_bytes(head.get(18..20)?.try_into().ok()?).into(),
        ("ELF", _) => u16::from_be_bytes(head.get(18..20)?.try_into().ok()?).into(),
        _ => u32::from_le_bytes(head.get(4..8)?.try_into().ok()?),
    };
    Some(Machine { format, processor })
}

fn processor_name(machine: &Machine) -> Option<&'static str> {
    Some(match (machine.format, machine.processor) {
        ("ELF", 3) => "x86",
        ("ELF", 40) => "arm",
        ("ELF", 62) | ("Mach-O", 0x0100_0007) => "x86_64",
        ("ELF", 183) | ("Mach-O", 0x0100_000c) => "aarch64",
        ("ELF", 243) => "riscv",
        _ => return None,
    })
}

/// What this host itself is: the surest description of what runs here.
fn this_machine() -> Option<Machine> {
    let mut head = Vec::new();
    fs::File::open(env::current_exe().ok()?).ok()?.take(20).read_to_end(&mut head).ok()?;
    machine(&head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_and_processors_are_told_apart() {
        let elf = |order: u8, machine: [u8; 2]| {
            let mut head = vec![0x7f, b'E', b'L', b'F', 2, order];
            head.resize(18, 0);
            head.extend(machine);
            super::machine(&head).unwrap().describe()
        };
        assert_eq!(elf(1, [183, 0]), "an ELF executable for aarch64");
        assert_eq!(elf(2, [0, 22]), "an ELF executable");
        assert_eq!(machine(b"MZ\x90\0").unwrap().describe(), "an MS-DOS or Windows executable");
        assert_eq!(machine(b"\xcf\xfa\xed\xfe\x0c\0\0\x01").unwrap().describe(), "an Mach-O executable for aarch64");
        assert_eq!(machine(b"#!/bin/sh"), None);
        assert_eq!(machine(b""), None);
    }

    #[test]
    fn this_host_is_for_this_machine() {
        let command = Command::new(env::current_exe().unwrap());
        assert!(machine_error(&command).is_none());
        assert!(this_machine().is_some());
    }
}
