//! Who runs the platform, at the top and at the bottom of a page.

use askama::Template;
use base::language::Language;
use runtime::config::{Contact, ProviderConfig};

use super::{Message, Reader};

/// The government's register of websites, to which a filing number has to link.
const FILINGS: &str = "https://beian.miit.gov.cn/";

/// What is above a page's content.
#[derive(Template)]
#[template(path = "header.html")]
pub(super) struct Header<'a> {
    name: &'a str,
    logo: Option<&'a str>,
}

/// What is below it.
#[derive(Template)]
#[template(path = "footer.html")]
pub(super) struct Footer<'a> {
    name: Option<String>,
    contact: Option<ContactLine<'a>>,
    filing_number: Option<&'a str>,
    filings: &'static str,
}

/// A contact among text: with a link where there is an address.
struct ContactLine<'a> {
    label: &'static str,
    text: &'a str,
    address: Option<String>,
}

/// The contact as the next step.
#[derive(Template)]
#[template(path = "contact.html")]
pub(super) struct ContactStep<'a> {
    label: String,
    text: &'a str,
    address: Option<String>,
    is_second: bool,
}

impl<'a> Header<'a> {
    /// Visitors of a merchant's page have come for the merchant, and see the provider at the bottom only.
    pub(super) fn new(provider: &'a ProviderConfig, reader: Reader) -> Option<Self> {
        let name = provider.name.as_deref().filter(|_| reader == Reader::Merchant)?;
        Some(Self { name, logo: provider.logo.as_ref().map(url::Url::as_str) })
    }
}

impl<'a> Footer<'a> {
    /// `is_contact_shown`: whether the content has the contact already.
    pub(super) fn new(
        provider: &'a ProviderConfig,
        reader: Reader,
        language: Language,
        is_contact_shown: bool,
    ) -> Option<Self> {
        let is_merchant = reader == Reader::Merchant;
        let name = provider.name.as_deref().filter(|_| !is_merchant).map(|name| match language {
            Language::Chinese => format!("技术支持：{name}"),
            Language::English => format!("Powered by {name}"),
        });
        let contact = provider.contact.as_ref().filter(|_| is_merchant && !is_contact_shown);
        let contact = contact.map(|contact| ContactLine {
            label: language.pick("联系我们：", "Contact: "),
            text: contact.text(),
            address: contact.address(),
        });
        let filing_number = provider.filing_number.as_deref();
        let is_empty = name.is_none() && contact.is_none() && filing_number.is_none();
        (!is_empty).then_some(Self { name, contact, filing_number, filings: FILINGS })
    }
}

impl<'a> ContactStep<'a> {
    /// The contact, where the message asks for it and there is one.
    pub(super) fn new(
        provider: &'a ProviderConfig,
        reader: Reader,
        language: Language,
        message: &Message<'_>,
    ) -> Option<Self> {
        let contact: &Contact = provider.contact.as_ref()?;
        if !message.asks_provider || reader != Reader::Merchant {
            return None;
        }
        let name = provider.name.as_deref();
        let label = match language {
            Language::Chinese => format!("联系{}", name.unwrap_or("服务商")),
            Language::English => format!("Contact {}", name.unwrap_or("the provider")),
        };
        Some(Self { label, text: contact.text(), address: contact.address(), is_second: message.button.is_some() })
    }
}
