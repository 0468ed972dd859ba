//! What a plugin says when somebody starts it without a host.

use std::fmt::Write;

use crate::{environment, protocol::message::InterfaceEntry};

/// Prints what the plugin is and how to use it, and ends the process with status 1.
pub(super) fn explain_and_exit(interfaces: &[InterfaceEntry]) -> ! {
    let arguments: Vec<_> = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    #[expect(clippy::print_stderr, reason = "somebody sits in front of it and started the wrong program")]
    {
        eprint!("{}", explanation(&arguments, interfaces));
    }
    #[expect(clippy::exit, reason = "documented: without a host there is nothing to serve and nothing to return to")]
    std::process::exit(1)
}

fn explanation(arguments: &[String], interfaces: &[InterfaceEntry]) -> String {
    let (program, command) = (arguments.first().map_or("this program", String::as_str), arguments.join(" "));
    let mut text = format!("{program} is a plugin. It is started by a host program, not by hand.\n\nIt serves:\n");
    for interface in interfaces {
        let version = interface.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {}{version}: {}", interface.name, interface.methods.join(", "));
    }
    let _ = write!(
        text,
        "\nTo run it under a debugger and let a host attach to it, give it a path in a directory of your own:\n  \
         {}=<directory>/plugin.sock {command}\nand let the host call plugin_core::attach with that path.\n",
        environment::LISTEN
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_the_interfaces_their_methods_and_how_to_attach() {
        let greeter = InterfaceEntry {
            name: "Greeter".into(),
            version: Some("1.2.0".into()),
            methods: vec!["greet".into(), "add".into()],
        };
        let text = explanation(&["target/debug/english".into(), "--formal".into()], &[greeter]);
        assert!(text.starts_with("target/debug/english is a plugin."), "{text}");
        assert!(text.contains("\n  Greeter 1.2.0: greet, add\n"), "{text}");
        assert!(text.contains("PLUGIN_CORE_LISTEN=<directory>/plugin.sock target/debug/english --formal\n"), "{text}");
    }
}
