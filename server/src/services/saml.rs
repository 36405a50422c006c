//! Reads what Rollcall shows of an identity provider's SAML metadata. Pure: no clock, no network.
//!
//! The file comes from outside, so it is bounded, and anything that could make a parser fetch or
//! expand something (document types, entities) is refused instead of followed.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, Utc};
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Real files have 2 to 20 KiB; whole federations are refused.
pub const MOST_BYTES: usize = 256 * 1024;
const DEEPEST: usize = 40;
const METADATA: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
const SIGNATURES: &str = "http://www.w3.org/2000/09/xmldsig#";
const REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";
const POST: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";

/// What is shown of an identity provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityProvider {
    pub entity_id: String,
    pub sign_in_url: String,
    /// When the last of its signing certificates ends; `None` when it names none.
    pub certificate_expires: Option<DateTime<Utc>>,
}

/// Why the metadata is of no use: what is wrong, and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MetadataProblem {
    #[error("it is empty; paste the whole XML file of the identity provider")]
    Empty,
    #[error(
        "it is larger than 256 KiB; use the metadata of one identity provider, not of a federation"
    )]
    TooLarge,
    #[error(
        "it has a document type or its own entities, which metadata never needs; download the file again from the identity provider"
    )]
    DocumentType,
    #[error("it is not well-formed XML; paste the whole file, unchanged")]
    NotXml,
    #[error(
        "it is XML, but not SAML 2.0 metadata (its root is not an EntityDescriptor); choose the file that the identity provider calls metadata"
    )]
    OtherRoot,
    #[error("it lists several providers; use the metadata of the one that the app signs in with")]
    Several,
    #[error(
        "it describes a service provider, which is the app's side; choose the metadata of the identity provider"
    )]
    ServiceProvider,
    #[error(
        "its entity ID is missing or longer than 1024 characters; download the file again from the identity provider"
    )]
    EntityId,
    #[error(
        "it names no sign-in address (SingleSignOnService with the binding HTTP-Redirect or HTTP-POST); download the file again from the identity provider"
    )]
    NoSignInUrl,
    #[error("its sign-in address is not an https address; have the identity provider corrected")]
    SignInUrl,
    #[error("its certificate can't be read; download the file again from the identity provider")]
    Certificate,
}

impl MetadataProblem {
    /// Stable and harmless in an address bar.
    pub fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge => "too-large",
            Self::DocumentType => "document-type",
            Self::NotXml => "not-xml",
            Self::OtherRoot => "other-root",
            Self::Several => "several",
            Self::ServiceProvider => "service-provider",
            Self::EntityId => "entity-id",
            Self::NoSignInUrl => "no-sign-in-url",
            Self::SignInUrl => "sign-in-url",
            Self::Certificate => "certificate",
        }
    }
}

/// Reads the metadata of one identity provider.
pub fn parse(xml: &str) -> Result<IdentityProvider, MetadataProblem> {
    if xml.len() > MOST_BYTES {
        return Err(MetadataProblem::TooLarge);
    }
    let xml = xml.trim_start_matches('\u{feff}').trim();
    if xml.is_empty() {
        return Err(MetadataProblem::Empty);
    }
    let mut reader = NsReader::from_str(xml);
    let mut found = Found::default();
    let mut path: Vec<Element> = Vec::new();
    let mut root_closed = false;
    loop {
        let (namespace, event) = reader
            .read_resolved_event()
            .map_err(|_| MetadataProblem::NotXml)?;
        match event {
            Event::DocType(_) => return Err(MetadataProblem::DocumentType),
            Event::Start(tag) => {
                if root_closed || path.len() >= DEEPEST {
                    return Err(MetadataProblem::NotXml);
                }
                let element = Element::of(&namespace, &tag);
                found.enter(&path, element, &tag)?;
                path.push(element);
            }
            Event::Empty(tag) => {
                if root_closed {
                    return Err(MetadataProblem::NotXml);
                }
                let element = Element::of(&namespace, &tag);
                found.enter(&path, element, &tag)?;
                root_closed = path.is_empty();
            }
            Event::End(_) => {
                if path.pop() == Some(Element::Certificate) {
                    found.certificate_ends()?;
                }
                root_closed = path.is_empty();
            }
            Event::Text(text) => {
                if path.is_empty() && !text.trim().is_empty() {
                    return Err(MetadataProblem::NotXml);
                }
                found.text(&path, &text);
            }
            Event::CData(text) => found.text(&path, &text),
            Event::GeneralRef(reference) => {
                let predefined = matches!(&*reference, "amp" | "lt" | "gt" | "quot" | "apos");
                if !predefined && !reference.is_char_ref() {
                    return Err(MetadataProblem::DocumentType);
                }
                // None belongs into a certificate: decoding it will fail.
                found.text(&path, "&");
            }
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
    if !root_closed {
        return Err(MetadataProblem::NotXml);
    }
    found.finish()
}

/// The elements that matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    Entity,
    Entities,
    IdentityProvider,
    ServiceProvider,
    KeyForSigning,
    KeyForEncryption,
    SignOn,
    Certificate,
    Other,
}

impl Element {
    fn of(namespace: &ResolveResult<'_>, tag: &BytesStart<'_>) -> Self {
        let ResolveResult::Bound(Namespace(namespace)) = namespace else {
            return Self::Other;
        };
        match (*namespace, tag.local_name().into_inner()) {
            (METADATA, "EntityDescriptor") => Self::Entity,
            (METADATA, "EntitiesDescriptor") => Self::Entities,
            (METADATA, "IDPSSODescriptor") => Self::IdentityProvider,
            (METADATA, "SPSSODescriptor") => Self::ServiceProvider,
            (METADATA, "KeyDescriptor") => match attribute(tag, "use").as_deref() {
                Some("encryption") => Self::KeyForEncryption,
                // Left out, a key is for both.
                _ => Self::KeyForSigning,
            },
            (METADATA, "SingleSignOnService") => Self::SignOn,
            (SIGNATURES, "X509Certificate") => Self::Certificate,
            _ => Self::Other,
        }
    }
}

#[derive(Default)]
struct Found {
    entity_id: String,
    identity_provider: bool,
    service_provider: bool,
    redirect: Option<String>,
    post: Option<String>,
    certificate: Option<String>,
    expires: Option<DateTime<Utc>>,
}

impl Found {
    fn enter(
        &mut self,
        path: &[Element],
        element: Element,
        tag: &BytesStart<'_>,
    ) -> Result<(), MetadataProblem> {
        match (path, element) {
            ([], Element::Entity) => {
                self.entity_id = attribute(tag, "entityID")
                    .unwrap_or_default()
                    .trim()
                    .to_owned();
            }
            ([], Element::Entities) => return Err(MetadataProblem::Several),
            ([], _) => return Err(MetadataProblem::OtherRoot),
            ([Element::Entity], Element::IdentityProvider) => self.identity_provider = true,
            ([Element::Entity], Element::ServiceProvider) => self.service_provider = true,
            ([Element::Entity, Element::IdentityProvider], Element::SignOn) => self.sign_on(tag),
            (_, Element::Certificate) if signs(path) => self.certificate = Some(String::new()),
            _ => {}
        }
        Ok(())
    }

    /// The first of each binding counts.
    fn sign_on(&mut self, tag: &BytesStart<'_>) {
        let Some(location) = attribute(tag, "Location").map(|location| location.trim().to_owned())
        else {
            return;
        };
        match attribute(tag, "Binding").as_deref() {
            Some(REDIRECT) => drop(self.redirect.get_or_insert(location)),
            Some(POST) => drop(self.post.get_or_insert(location)),
            _ => {}
        }
    }

    fn text(&mut self, path: &[Element], text: &str) {
        if path.last() == Some(&Element::Certificate)
            && let Some(certificate) = &mut self.certificate
        {
            certificate.extend(text.chars().filter(|c| !c.is_whitespace()));
        }
    }

    fn certificate_ends(&mut self) -> Result<(), MetadataProblem> {
        let Some(text) = self.certificate.take() else {
            return Ok(());
        };
        let der = BASE64_STANDARD
            .decode(text)
            .map_err(|_| MetadataProblem::Certificate)?;
        let (_, certificate) =
            X509Certificate::from_der(&der).map_err(|_| MetadataProblem::Certificate)?;
        let ends = DateTime::from_timestamp(certificate.validity().not_after.timestamp(), 0)
            .ok_or(MetadataProblem::Certificate)?;
        self.expires = self.expires.max(Some(ends));
        Ok(())
    }

    fn finish(self) -> Result<IdentityProvider, MetadataProblem> {
        if !self.identity_provider {
            return Err(match self.service_provider {
                true => MetadataProblem::ServiceProvider,
                false => MetadataProblem::NoSignInUrl,
            });
        }
        // The longest that SAML allows.
        if self.entity_id.is_empty() || self.entity_id.chars().count() > 1024 {
            return Err(MetadataProblem::EntityId);
        }
        let sign_in_url = self
            .redirect
            .or(self.post)
            .ok_or(MetadataProblem::NoSignInUrl)?;
        let parsed = url::Url::parse(&sign_in_url).map_err(|_| MetadataProblem::SignInUrl)?;
        if parsed.scheme() != "https" || !parsed.has_host() || sign_in_url.len() > 2048 {
            return Err(MetadataProblem::SignInUrl);
        }
        Ok(IdentityProvider {
            entity_id: self.entity_id,
            sign_in_url,
            certificate_expires: self.expires,
        })
    }
}

/// Whether a certificate at this place is one that the identity provider signs with.
fn signs(path: &[Element]) -> bool {
    matches!(
        path,
        [
            Element::Entity,
            Element::IdentityProvider,
            Element::KeyForSigning,
            ..
        ]
    )
}

/// An attribute without a namespace. Entities other than the predefined ones make it unreadable.
fn attribute<'a>(tag: &'a BytesStart<'_>, name: &str) -> Option<Cow<'a, str>> {
    let attribute = tag
        .attributes()
        .filter_map(Result::ok)
        .find(|found| found.key.into_inner() == name)?;
    attribute.normalized_value(XmlVersion::Implicit1_0).ok()
}

#[cfg(test)]
mod tests;
