//! Callbacks without a result, of things that are more than bytes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use plugin_core::{Remote, Result, Stream, in_process, plugin_interface};

#[plugin_interface]
trait Number {
    fn number(&self) -> Result<u32>;
}

#[plugin_interface]
trait Tells {
    fn tell(
        &self,
        count: u32,
        stream: &mut dyn FnMut(Stream<u32>),
        object: &mut dyn FnMut(Remote<dyn Number>),
        number: &mut dyn FnMut(u32),
    ) -> Result<()>;
}

struct Plugin;

struct One(u32);

impl Number for One {
    fn number(&self) -> Result<u32> {
        Ok(self.0)
    }
}

impl Tells for Plugin {
    fn tell(
        &self,
        count: u32,
        stream: &mut dyn FnMut(Stream<u32>),
        object: &mut dyn FnMut(Remote<dyn Number>),
        number: &mut dyn FnMut(u32),
    ) -> Result<()> {
        for told in 0..count {
            stream(Stream::iter([Ok(told)]));
            object(Remote::new(One(told)));
            number(told);
        }
        Ok(())
    }
}

#[test]
fn a_function_without_a_result_is_told_of_streams_and_objects() {
    let plugin = in_process::<dyn Tells>(Plugin).unwrap();
    let (mut streams, mut objects, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    let mut on_stream = |stream| streams.push(stream);
    let mut on_object = |object: Remote<dyn Number>| objects.push(object.number());
    plugin.tell(100, &mut on_stream, &mut on_object, &mut |number| numbers.push(number)).unwrap();
    let expected: Vec<_> = (0..100).collect();
    assert_eq!(numbers, expected);
    assert_eq!(objects.into_iter().collect::<Result<Vec<_>>>().unwrap(), expected);
    let streams: Vec<_> = streams.into_iter().flat_map(Stream::into_iter).collect::<Result<_>>().unwrap();
    assert_eq!(streams, expected);
}
