//! From CSV to an HTML table.

use convert_api::{ConvertError, escape};
use csv::{ReaderBuilder, StringRecord};

use crate::mistake;

/// The records of `source` as a table, the first one as its head.
pub(crate) fn render(source: &str) -> Result<String, ConvertError> {
    let records = read(source)?;
    let mut html = String::from("<table>\n");
    if let Some((head, body)) = records.split_first() {
        html.push_str("<thead>\n");
        push_row(&mut html, "th", head);
        html.push_str("</thead>\n<tbody>\n");
        for record in body {
            push_row(&mut html, "td", record);
        }
        html.push_str("</tbody>\n");
    }
    html.push_str("</table>\n");
    Ok(html)
}

fn read(source: &str) -> Result<Vec<StringRecord>, ConvertError> {
    let mut reader = ReaderBuilder::new().has_headers(false).from_reader(source.as_bytes());
    let records = reader.records().collect::<Result<Vec<_>, _>>().map_err(|error| mistake::explain(source, &error))?;
    match records.last() {
        Some(last) => mistake::check_last(source, last).map(|()| records),
        None => Ok(records),
    }
}

fn push_row(html: &mut String, cell: &str, record: &StringRecord) {
    html.push_str("<tr>");
    for text in record {
        html.extend(["<", cell, ">", &escape(text), "</", cell, ">"]);
    }
    html.push_str("</tr>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(source: &str) -> String {
        render(source).unwrap_err().to_string()
    }

    #[test]
    fn the_first_record_is_the_head_and_text_is_escaped() {
        let html = render("a,\"b, c\"\n<1>,\"say \"\"2\"\"\"\n").unwrap();
        assert!(html.contains("<thead>\n<tr><th>a</th><th>b, c</th></tr>\n</thead>"), "{html}");
        assert!(html.contains("<tr><td>&lt;1&gt;</td><td>say &quot;2&quot;</td></tr>"), "{html}");
        assert_eq!(render("").unwrap(), "<table>\n</table>\n");
    }

    #[test]
    fn a_short_record_is_told_at_its_end_and_a_long_one_at_its_first_field_too_many() {
        assert_eq!(mistake("a,b,c\n1,2,3\n4,5\n"), "3:4: this record has 2 fields, the first one has 3");
        assert_eq!(mistake("a,b\n\"1,1\",2,3,4"), "2:9: this record has 4 fields, the first one has 2");
    }

    #[test]
    fn lines_are_counted_whatever_ends_them_and_whatever_they_are_in() {
        assert_eq!(mistake("a,b\r\n\r\n\"1\r\n1\",2\r\n3\r\n"), "5:2: this record has 1 field, the first one has 2");
        assert_eq!(mistake("é,b\né,2,3\n"), "2:5: this record has 3 fields, the first one has 2");
    }

    #[test]
    fn a_quote_that_is_never_closed_is_told_where_it_opens() {
        assert_eq!(mistake("a,b\n1,\"2\n3,4\n"), "2:3: this quote is never closed");
        assert_eq!(mistake("a,b\n\"1,2\n3,4\n"), "2:1: this quote is never closed");
        assert!(render("a,b\n1,2\" tall\n").is_ok(), "a quote inside a field is text");
    }
}
