//! Text in HTML.

/// `text` as it is written in HTML, in an element or an attribute.
///
/// ```
/// assert_eq!(convert_api::escape("1 < 2 & \"3\""), "1 &lt; 2 &amp; &quot;3&quot;");
/// ```
pub fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            _ => html.push(character),
        }
    }
    html
}
