//! The business behind the platform, as merchants see it on our pages.

use url::Url;

use super::{ConfigError, Environment, optional, web_address};

/// Who runs the platform (服务商): `PROVIDER_NAME`, `PROVIDER_LOGO_URL`, `PROVIDER_CONTACT`, `PROVIDER_FILING_NUMBER`. All
/// are optional, and the pages are complete without them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProviderConfig {
    /// Its name.
    pub name: Option<String>,
    /// The address of its logo. If there is a logo, there is also a name.
    pub logo: Option<Url>,
    /// Where merchants get help.
    pub contact: Option<Contact>,
    /// The 备案号 of the website, such as 粤ICP备12345678号-1.
    pub filing_number: Option<String>,
}

/// The greatest number of characters of a name or a contact: longer ones do not fit on a phone's screen.
const LONGEST_TEXT: usize = 60;

impl ProviderConfig {
    /// Reads the four variables.
    ///
    /// # Errors
    /// [`ConfigError`] naming the variable.
    pub fn read(environment: &impl Environment) -> Result<Self, ConfigError> {
        let name = optional(environment, "PROVIDER_NAME", text)?;
        let logo = optional(environment, "PROVIDER_LOGO_URL", web_address)?;
        if logo.is_some() && name.is_none() {
            return Err(ConfigError::Missing {
                name: "PROVIDER_NAME",
                hint: "PROVIDER_LOGO_URL is not shown without it",
            });
        }
        let contact = optional(environment, "PROVIDER_CONTACT", Contact::parse)?;
        let filing_number = optional(environment, "PROVIDER_FILING_NUMBER", filing_number)?;
        Ok(Self { name, logo, contact, filing_number })
    }
}

/// Checks a line of text for people. CloudFormation uses Chinese correctly but displays it as question marks, and a value
/// that was copied from its console is lost. The template's patterns refuse the same values, since a function that does
/// not start for a name would take no authorization.
fn text(value: &str) -> Result<String, &'static str> {
    let text = value.trim();
    if text.chars().any(char::is_control) || text.chars().count() > LONGEST_TEXT {
        return Err("it must be one line of at most 60 characters");
    }
    if text.is_empty() || text.contains("??") {
        return Err("it must be a text (a value of question marks has lost its Chinese characters: enter them again)");
    }
    Ok(text.to_owned())
}

/// How a merchant reaches the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contact {
    /// A telephone number.
    Phone(String),
    /// An e-mail address.
    Email(String),
    /// Anything else, such as a WeChat id.
    Other(String),
}

impl Contact {
    fn parse(value: &str) -> Result<Self, &'static str> {
        let text = text(value)?;
        Ok(if is_phone(&text) {
            Self::Phone(text)
        } else if is_email(&text) {
            Self::Email(text)
        } else {
            Self::Other(text)
        })
    }

    /// The text as it was configured.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Phone(text) | Self::Email(text) | Self::Other(text) => text,
        }
    }

    /// The URL that dials the number or begins an e-mail.
    #[must_use]
    pub fn address(&self) -> Option<String> {
        match self {
            Self::Phone(text) => Some(format!("tel:{}", text.replace(|c: char| !c.is_ascii_digit() && c != '+', ""))),
            Self::Email(text) => Some(format!("mailto:{text}")),
            Self::Other(_) => None,
        }
    }
}

fn is_phone(text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let number = text.strip_prefix('+').unwrap_or(text);
    (5..=15).contains(&digits) && number.chars().all(|c| c.is_ascii_digit() || " -()".contains(c))
}

/// Whether a text is an e-mail address of ordinary characters, which need no escapes in a URL.
fn is_email(text: &str) -> bool {
    let is_usual =
        |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "._+-".contains(c));
    text.split_once('@').is_some_and(|(name, host)| is_usual(name) && is_usual(host) && host.contains('.'))
}

/// Checks a 备案号: the short name of a province, `ICP备`, a number, `号`, and for one of several websites a further number.
fn filing_number(value: &str) -> Result<String, &'static str> {
    let text = value.trim();
    let is_filed = || {
        let (province, rest) = text.split_once("ICP备")?;
        let (number, website) = rest.split_once('号')?;
        let is_province = province.chars().count() == 1 && !province.is_ascii();
        let is_number =
            (6..=16).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let is_website =
            website.is_empty() || website.strip_prefix('-').is_some_and(|digits| digits.parse::<u16>().is_ok());
        (is_province && is_number && is_website).then_some(())
    };
    is_filed().map(|()| text.to_owned()).ok_or("it must be an ICP filing number (备案号) such as 粤ICP备12345678号-1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &'static str, value: &'static str) -> Result<ProviderConfig, ConfigError> {
        ProviderConfig::read(&move |asked: &str| match asked {
            _ if asked == name => Some(value.to_owned()),
            "PROVIDER_NAME" => Some("示例科技".to_owned()),
            _ => None,
        })
    }

    fn contact(value: &'static str) -> (Contact, Option<String>) {
        let contact = read("PROVIDER_CONTACT", value).unwrap().contact.unwrap();
        let address = contact.address();
        (contact, address)
    }

    #[test]
    fn nothing_has_to_be_configured() {
        assert_eq!(ProviderConfig::read(&|_: &str| None).unwrap(), ProviderConfig::default());
    }

    #[test]
    fn a_contact_is_dialled_or_written_to_where_that_is_possible() {
        for (text, address) in [
            ("400-800-1234", "tel:4008001234"),
            ("+86 (755) 1234 5678", "tel:+8675512345678"),
            ("help@example.com", "mailto:help@example.com"),
        ] {
            assert_eq!(contact(text).1.as_deref(), Some(address));
        }
        for text in
            ["微信：example-help", "a@b", "help@example.com?subject=x", "<a>@example.com", "1234", "400-800-1234 转 5"]
        {
            assert_eq!(contact(text), (Contact::Other(text.to_owned()), None));
        }
    }

    #[test]
    fn filing_numbers_are_recognized() {
        for good in ["粤ICP备12345678号", " 京ICP备2021012345号-12 ", "浙ICP备B2-20080224号-1"] {
            assert_eq!(read("PROVIDER_FILING_NUMBER", good).unwrap().filing_number.as_deref(), Some(good.trim()));
        }
        for bad in [
            "?ICP?12345678?",
            "粤ICP备12345678",
            "ICP备12345678号",
            "粤ICP备1号",
            "粤ICP备12345678号-",
            "粤ICP备12345678号 <b>",
        ] {
            let error = read("PROVIDER_FILING_NUMBER", bad).unwrap_err();
            assert!(error.to_string().contains("PROVIDER_FILING_NUMBER"), "{bad}: {error}");
        }
    }

    #[test]
    fn what_no_page_can_show_is_refused_by_name() {
        for (name, bad) in [
            ("PROVIDER_NAME", "????"),
            ("PROVIDER_NAME", "??Tech"),
            ("PROVIDER_NAME", " "),
            ("PROVIDER_CONTACT", "???example-help"),
            ("PROVIDER_NAME", "two\nlines"),
            ("PROVIDER_CONTACT", "\u{7}1234567"),
            ("PROVIDER_LOGO_URL", "http://example.com/logo.png"),
            ("PROVIDER_LOGO_URL", "javascript:alert(1)"),
            ("PROVIDER_LOGO_URL", "logo.png"),
        ] {
            assert!(read(name, bad).unwrap_err().to_string().contains(name), "{name} {bad}");
        }
        assert!(ProviderConfig::read(&|name: &str| (name == "PROVIDER_NAME").then(|| "店".repeat(61))).is_err());
        let nameless =
            |name: &str| (name == "PROVIDER_LOGO_URL").then(|| "https://cdn.example.com/logo.png".to_owned());
        assert!(ProviderConfig::read(&nameless).unwrap_err().to_string().contains("PROVIDER_NAME"));
    }
}
