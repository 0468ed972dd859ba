//! Rules between methods.

use std::collections::HashMap;

use syn::ext::IdentExt as _;

use crate::{
    errors::Errors,
    model::{Interface, Method},
};

pub(crate) fn interface(interface: &Interface, errors: &mut Errors) {
    distinct_names(&interface.methods, errors);
    distinct_constants(&interface.methods, errors);
}

/// Methods are matched by name. Of two under different `cfg`s only rustc knows whether they meet.
fn distinct_names(methods: &[Method], errors: &mut Errors) {
    let mut seen: HashMap<String, &Method> = HashMap::new();
    for method in methods {
        match seen.get(&method.name.value()) {
            Some(earlier) if may_exclude_each_other(earlier, method) => {}
            Some(earlier) if earlier.ident == method.ident => {
                errors.at(&method.ident, format!("`{}` is declared twice; rename one of the two", method.ident));
            }
            Some(earlier) => {
                errors.at(
                    &method.name,
                    format!(
                        "`{}` already has the name {:?} on the wire; give one of them another `#[method(name = \"...\")]`",
                        earlier.ident,
                        method.name.value()
                    ),
                );
            }
            None => {
                seen.insert(method.name.value(), method);
            }
        }
    }
}

/// A constant is the upper-case name, so that two methods may get the same one.
fn distinct_constants(methods: &[Method], errors: &mut Errors) {
    let mut seen: HashMap<String, &Method> = HashMap::new();
    for method in methods {
        let constant = method.constant().to_string();
        let wire = method.ident.unraw();
        if constant == "NAMES" {
            errors.at(
                &method.ident,
                format!("the constant of this method would be `NAMES`, which holds the names of all methods; rename the method, and keep its name on the wire with `#[method(name = \"{wire}\")]`"),
            );
        }
        match seen.get(&constant) {
            Some(earlier) if !may_exclude_each_other(earlier, method) && earlier.ident != method.ident => errors.at(
                &method.ident,
                format!("`{}` and this method would both get the constant `{constant}`; rename the method, and keep its name on the wire with `#[method(name = \"{wire}\")]`", earlier.ident),
            ),
            _ => {
                seen.insert(constant, method);
            }
        }
    }
}

fn may_exclude_each_other(one: &Method, other: &Method) -> bool {
    !one.cfgs.is_empty() && !other.cfgs.is_empty()
}
