use plugin_core::plugin_interface;

#[plugin_interface]
pub trait Sampler {
    #[oneway]
    fn sample(&self, value: f64) -> plugin_core::Result<()>;

    #[idempotent]
    fn mean(&self) -> plugin_core::Result<f64>;
}

fn main() {}
