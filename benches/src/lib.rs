//! What plugin-core costs and withstands, measured: what the programs of this package share.

pub mod machine;
