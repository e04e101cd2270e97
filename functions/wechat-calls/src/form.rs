//! Forms with a file (`multipart/form-data`, RFC 7578), for WeChat's uploads.

use base::random::Random;
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use url::form_urlencoded;

use crate::bucket::File;

/// The longest name of a part, in bytes.
const LONGEST_NAME: usize = 64;

/// The longest name of a file, in bytes.
const LONGEST_FILE_NAME: usize = 200;

/// The part of a form that a file becomes, and the parts before it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FilePart {
    pub(crate) name: String,
    pub(crate) file_name: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl FilePart {
    /// Reads `media; filename=photo.jpg`: in the file name, `%` and non-ASCII characters are percent-encoded.
    pub(crate) fn read(header: &str) -> Option<Self> {
        let (name, parameter) = header.split_once(';')?;
        let file_name = parameter.trim().strip_prefix("filename=")?;
        let unquoted = file_name.strip_prefix('"').and_then(|file_name| file_name.strip_suffix('"'));
        let file_name = percent_decode_str(unquoted.unwrap_or(file_name)).decode_utf8().ok()?.into_owned();
        let fits = (1..=LONGEST_FILE_NAME).contains(&file_name.len());
        let is_plain = fits && !file_name.contains(|c: char| c.is_control() || "\"/\\".contains(c));
        let part = Self { name: name.trim().to_owned(), file_name, fields: Vec::new() };
        (is_plain && is_name(&part.name)).then_some(part)
    }

    /// Adds the fields of a form (`application/x-www-form-urlencoded`) before the file.
    pub(crate) fn with_fields(self, form: &[u8]) -> Option<Self> {
        let fields: Vec<(String, String)> = form_urlencoded::parse(form).into_owned().collect();
        fields.iter().all(|(name, _)| is_name(name) && *name != self.name).then_some(Self { fields, ..self })
    }
}

fn is_name(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

/// The form that has a file as one of its parts.
pub(crate) fn with_file(part: &FilePart, file: &File, random: &Random) -> File {
    // No file contains it by accident, and nobody who uploads a file can predict it.
    let boundary = random.id();
    let mut body = Vec::with_capacity(file.bytes.len() + 1024);
    for (name, value) in &part.fields {
        let field = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(field.as_bytes());
    }
    let FilePart { name, file_name, .. } = part;
    let head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file_name}\"\r\n");
    body.extend_from_slice(head.as_bytes());
    if let Some(content_type) = &file.content_type {
        body.extend_from_slice(b"Content-Type: ");
        body.extend_from_slice(content_type.as_bytes());
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"\r\n");
    body.extend_from_slice(&file.bytes);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    let content_type = HeaderValue::try_from(format!("multipart/form-data; boundary={boundary}")).ok();
    File { content_type, disposition: None, bytes: body.into() }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_part_has_a_name_and_a_file_name() {
        let read = |header: &str| FilePart::read(header).map(|part| (part.name, part.file_name));
        for (header, name, file_name) in [
            ("media; filename=photo.jpg", "media", "photo.jpg"),
            ("media;filename=\"my photo.jpg\"", "media", "my photo.jpg"),
            ("file; filename=%E7%85%A7%E7%89%87.png", "file", "照片.png"),
            ("a-b_c.d; filename=100%25.gif", "a-b_c.d", "100%.gif"),
        ] {
            assert_eq!(read(header), Some((name.to_owned(), file_name.to_owned())), "{header}");
        }
        let long = format!("media; filename={}", "a".repeat(LONGEST_FILE_NAME + 1));
        for header in [
            "",
            "media",
            "media; name=a.jpg",
            "media; filename=",
            "; filename=a.jpg",
            "me dia; filename=a.jpg",
            "media; filename=a%22b",
            "media; filename=a%0D%0Ab",
            "media; filename=..%2Fa",
            "media; filename=a%FF",
            "media\"; filename=a",
            &long,
        ] {
            assert_eq!(read(header), None, "{header}");
        }
    }

    #[test]
    fn fields_come_before_the_file_and_cannot_take_its_name() {
        let part = || FilePart::read("media; filename=a.mp4").unwrap();
        let fields = part().with_fields("description=%7B%22title%22%3A%22t%22%7D&x=".as_bytes()).unwrap().fields;
        assert_eq!(
            fields,
            [("description".to_owned(), "{\"title\":\"t\"}".to_owned()), ("x".to_owned(), String::new())]
        );
        for form in ["media=a", "a%22b=c", "=a", "a%0D%0Ab=c"] {
            assert_eq!(part().with_fields(form.as_bytes()), None, "{form}");
        }
    }

    #[test]
    fn a_form_is_as_the_standard_has_it() {
        let part = FilePart::read("media; filename=a.mp4").unwrap().with_fields(b"title=t").unwrap();
        let file = File {
            content_type: Some(HeaderValue::from_static("video/mp4")),
            disposition: None,
            bytes: Bytes::from_static(b"\x00\r\n--\xff"),
        };
        let form = with_file(&part, &file, &Random::from_fn(|bytes| bytes.fill(0)));
        let boundary = "A".repeat(22);
        assert_eq!(form.content_type.unwrap(), format!("multipart/form-data; boundary={boundary}"));
        let mut expected = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nt\r\n--{boundary}\r\nContent-Disposition: \
             form-data; name=\"media\"; filename=\"a.mp4\"\r\nContent-Type: video/mp4\r\n\r\n"
        )
        .into_bytes();
        expected.extend_from_slice(b"\x00\r\n--\xff");
        expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        assert_eq!(form.bytes, expected);
    }
}
