//! Notes the compiler for the report, and generates the gRPC service that tonic is measured with, from a description in Rust:
//! no `protoc` is needed.

use std::{env, process::Command};

fn main() {
    let compiler = Command::new(env::var_os("RUSTC").unwrap_or("rustc".into())).arg("-V").output();
    let version =
        compiler.map_or_else(|_| "unknown".into(), |output| String::from_utf8_lossy(&output.stdout).into_owned());
    println!("cargo::rustc-env=BENCHES_RUSTC={}", version.trim());
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "peers")]
    grpc::generate();
}

#[cfg(feature = "peers")]
mod grpc {
    use tonic_build::manual::{Builder, Method, Service};

    pub(crate) fn generate() {
        let service = Service::builder().name("Echo").package("benches").method(method("echo", "Echo"));
        Builder::new().compile(&[service.method(method("sleep", "Sleep")).build()]);
    }

    fn method(name: &str, route: &str) -> Method {
        Method::builder()
            .name(name)
            .route_name(route)
            .input_type("crate::contenders::tonic::Payload")
            .output_type("crate::contenders::tonic::Payload")
            .codec_path("tonic_prost::ProstCodec")
            .build()
    }
}
