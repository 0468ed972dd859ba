//! The `convert` plugin for Markdown: `CommonMark` with tables, footnotes, strikethrough and task lists.

use convert_api::{ConvertError, Converter};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, html};

struct Markdown;

impl Converter for Markdown {
    fn extensions(&self) -> plugin_core::Result<Vec<String>> {
        Ok(vec!["md".into(), "markdown".into()])
    }

    fn convert(&self, source: &str) -> Result<String, ConvertError> {
        let mut page = String::new();
        html::push_html(&mut page, parse(source));
        Ok(page)
    }

    /// The text of the first heading.
    fn title(&self, source: &str) -> Result<Option<String>, ConvertError> {
        let heading = parse(source)
            .skip_while(|event| !matches!(event, Event::Start(Tag::Heading { .. })))
            .take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))));
        let title: String = heading.filter_map(text).collect();
        Ok(Some(title).filter(|title| !title.is_empty()))
    }
}

fn parse(source: &str) -> Parser<'_> {
    let extensions =
        Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    Parser::new_ext(source, extensions)
}

fn text(event: Event<'_>) -> Option<String> {
    match event {
        Event::Text(text) | Event::Code(text) => Some(text.into_string()),
        Event::SoftBreak | Event::HardBreak => Some(" ".into()),
        _ => None,
    }
}

fn main() -> plugin_core::Result<()> {
    plugin_core::serve::<dyn Converter>(Markdown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_is_the_first_heading_without_its_markup() {
        let title = |source| Markdown.title(source).unwrap();
        assert_eq!(title("Before.\n\n## The `x` *of* y\n\n# Later"), Some("The x of y".into()));
        assert_eq!(title("No heading."), None);
        assert_eq!(title("#\n"), None);
    }

    #[test]
    fn tables_are_enabled() {
        let html = Markdown.convert("|a|b|\n|-|-|\n|1|2|\n").unwrap();
        assert!(html.contains("<td>1</td><td>2</td>"), "{html}");
    }
}
