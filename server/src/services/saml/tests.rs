use super::*;

/// Ends on 1 January 2031, 20:29:19 UTC.
const LATER: &str = "MIIBiTCCAS+gAwIBAgIUENIWVha3DYoMe8Rw63gPDzScaNAwCgYIKoZIzj0EAwIwGjEYMBYGA1UEAwwPaWRwLmV4YW1wbGUuY29tMB4XDTI2MTEyMzIwMjkxOVoXDTMxMDEwMTIwMjkxOVowGjEYMBYGA1UEAwwPaWRwLmV4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAERCf2iJc4k5jVkD+4U/GuZ5N/cya21O6DBTkM3zyCIV9kwF6OTQzvHND+zWH9WYYHZ66xAKgB+nfXQPDZPcdpraNTMFEwHQYDVR0OBBYEFCaNtv7UAAQuLlwsxQj5WmDDmon4MB8GA1UdIwQYMBaAFCaNtv7UAAQuLlwsxQj5WmDDmon4MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgfbaHbyQUWaGnKES1109Ticg+3M24o79135R5FDUhSAwCIQCB1q57tB1ecXy3+uZEpw7gm97tyMkmJ4XNSdKybEmvLg==";
/// Ends on 3 March 2027, 20:29:19 UTC.
const SOONER: &str = "MIIBijCCAS+gAwIBAgIUByYsL06RCFnt1ZfwUIePsvUaATQwCgYIKoZIzj0EAwIwGjEYMBYGA1UEAwwPb2xkLmV4YW1wbGUuY29tMB4XDTI2MTEyMzIwMjkxOVoXDTI3MDMwMzIwMjkxOVowGjEYMBYGA1UEAwwPb2xkLmV4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEa4P7blyu/jZZMkdCGJoZL9QWdsJsOMNmE5Kv8WI4TzjN5FI9ku/1ojfZK9ggAVRVe2KVOIsiS4sdj8TyQSFou6NTMFEwHQYDVR0OBBYEFApBK40/JsOi/DISTbVzDbC8BCI/MB8GA1UdIwQYMBaAFApBK40/JsOi/DISTbVzDbC8BCI/MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhAPt+NU+sronJWPN/jWEBJuvqEfGlKAeNPpILXsVEXNwgAiEAlhAXzRRoq14Xfr7bqGMJsDck+KJyXm9wsrUp5Z9dGd4=";

fn key(purpose: &str, certificate: &str) -> String {
    format!(
        "<md:KeyDescriptor {purpose}><ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:X509Data>\n\
         <ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
    )
}

fn sign_on(binding: &str, location: &str) -> String {
    format!(
        "<md:SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:{binding}\" Location=\"{location}\"/>"
    )
}

fn metadata(inner: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- made by hand -->\n\
         <md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"https://idp.example.com/saml?a=1&amp;b=2\">\
         <md:IDPSSODescriptor protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">{inner}</md:IDPSSODescriptor>\
         </md:EntityDescriptor>"
    )
}

fn good() -> String {
    let wrapped: Vec<&str> = (0..LATER.len())
        .step_by(64)
        .map(|at| &LATER[at..LATER.len().min(at + 64)])
        .collect();
    metadata(&format!(
        "{}{}{}{}{}",
        key("use=\"signing\"", &wrapped.join("\n    ")),
        key("", SOONER),
        key("use=\"encryption\"", "not read at all"),
        sign_on("HTTP-POST", "https://idp.example.com/post"),
        sign_on("HTTP-Redirect", "https://idp.example.com/redirect"),
    ))
}

#[test]
fn entity_id_redirect_address_and_the_last_signing_certificate_are_read() {
    let found = parse(&good()).unwrap();
    assert_eq!(found.entity_id, "https://idp.example.com/saml?a=1&b=2");
    assert_eq!(found.sign_in_url, "https://idp.example.com/redirect");
    assert_eq!(
        found.certificate_expires.unwrap().to_rfc3339(),
        "2031-01-01T20:29:19+00:00"
    );
    assert_eq!(parse(&format!("\u{feff}  {}\n", good())), Ok(found));
}

#[test]
fn prefixes_do_not_matter_and_post_serves_where_there_is_no_redirect() {
    let xml = "<EntityDescriptor xmlns='urn:oasis:names:tc:SAML:2.0:metadata' entityID='urn:idp'>\
               <SPSSODescriptor/><IDPSSODescriptor>\
               <SingleSignOnService Binding='urn:oasis:names:tc:SAML:2.0:bindings:SOAP' Location='https://idp.example.com/soap'/>\
               <SingleSignOnService Binding='urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST' Location='https://idp.example.com/post'></SingleSignOnService>\
               </IDPSSODescriptor></EntityDescriptor>";
    let found = parse(xml).unwrap();
    assert_eq!(found.sign_in_url, "https://idp.example.com/post");
    assert_eq!(found.certificate_expires, None);
}

#[test]
fn document_types_and_entities_are_refused_before_anything_is_expanded() {
    let bomb = format!(
        "<!DOCTYPE lolz [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;\">]>{}",
        good()
            .replace("<?xml version=\"1.0\" encoding=\"UTF-8\"?>", "")
            .replace("https://idp.example.com/redirect", "&b;")
    );
    assert_eq!(parse(&bomb), Err(MetadataProblem::DocumentType));
    let external = "<!DOCTYPE md [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><md/>";
    assert_eq!(parse(external), Err(MetadataProblem::DocumentType));
    let unknown = good().replace("<ds:X509Data>", "<ds:X509Data>&secret;");
    assert_eq!(parse(&unknown), Err(MetadataProblem::DocumentType));
    let in_attribute = good()
        .replace("https://idp.example.com/redirect", "&x;")
        .replace("HTTP-POST", "PAOS");
    assert_eq!(parse(&in_attribute), Err(MetadataProblem::NoSignInUrl));
}

#[test]
fn what_is_not_the_metadata_of_one_identity_provider_says_what_it_is() {
    let namespace = "xmlns=\"urn:oasis:names:tc:SAML:2.0:metadata\"";
    for (xml, problem) in [
        (String::new(), MetadataProblem::Empty),
        (" \n ".to_owned(), MetadataProblem::Empty),
        (
            "{\"type\": \"service_account\"}".to_owned(),
            MetadataProblem::NotXml,
        ),
        ("<a><b></a></b>".to_owned(), MetadataProblem::OtherRoot),
        (
            good().replace("</md:EntityDescriptor>", ""),
            MetadataProblem::NotXml,
        ),
        (format!("{}<more/>", good()), MetadataProblem::NotXml),
        (format!("{} trailing", good()), MetadataProblem::NotXml),
        (
            "<!doctype html><html></html>".to_owned(),
            MetadataProblem::DocumentType,
        ),
        (
            "<html><body/></html>".to_owned(),
            MetadataProblem::OtherRoot,
        ),
        (
            "<EntityDescriptor entityID=\"x\"/>".to_owned(),
            MetadataProblem::OtherRoot,
        ),
        (
            format!("<EntitiesDescriptor {namespace}/>"),
            MetadataProblem::Several,
        ),
        (
            format!(
                "<EntityDescriptor {namespace} entityID=\"sp\"><SPSSODescriptor/></EntityDescriptor>"
            ),
            MetadataProblem::ServiceProvider,
        ),
        (
            format!("<EntityDescriptor {namespace} entityID=\"x\"/>"),
            MetadataProblem::NoSignInUrl,
        ),
        (metadata(&key("", LATER)), MetadataProblem::NoSignInUrl),
        (
            metadata(&sign_on("HTTP-Redirect", "http://idp.example.com/")),
            MetadataProblem::SignInUrl,
        ),
        (
            metadata(&sign_on("HTTP-Redirect", "javascript:alert(1)")),
            MetadataProblem::SignInUrl,
        ),
        (good().replace("entityID", "ID"), MetadataProblem::EntityId),
        (
            good().replace("saml?", &"x".repeat(1025)),
            MetadataProblem::EntityId,
        ),
        (good().replace(SOONER, "TUlJ"), MetadataProblem::Certificate),
        (
            good().replace(SOONER, "no base64!"),
            MetadataProblem::Certificate,
        ),
        (good().replace(SOONER, ""), MetadataProblem::Certificate),
    ] {
        assert_eq!(parse(&xml), Err(problem), "{xml}");
    }
}

#[test]
fn size_and_depth_are_bounded() {
    assert_eq!(
        parse(&" ".repeat(MOST_BYTES + 1)),
        Err(MetadataProblem::TooLarge)
    );
    let deep = metadata(&"<x>".repeat(70_000));
    assert_eq!(parse(&deep), Err(MetadataProblem::NotXml));
}

#[test]
fn what_stands_in_the_wrong_place_is_not_taken() {
    let elsewhere = metadata(&format!(
        "<md:Extensions>{}</md:Extensions>",
        sign_on("HTTP-Redirect", "https://evil.example/")
    ));
    assert_eq!(parse(&elsewhere), Err(MetadataProblem::NoSignInUrl));
    let other_namespace = metadata(
        "<x:SingleSignOnService xmlns:x=\"urn:x\" Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" Location=\"https://evil.example/\"/>",
    );
    assert_eq!(parse(&other_namespace), Err(MetadataProblem::NoSignInUrl));
}

proptest::proptest! {
    #[test]
    fn nothing_makes_it_panic(cut in 0usize..2400, junk in ".{0,12}") {
        let mut xml = good();
        let mut at = cut.min(xml.len());
        while !xml.is_char_boundary(at) { at -= 1; }
        xml.insert_str(at, &junk);
        let _ = parse(&xml);
        let _ = parse(&xml[..at]);
    }
}
