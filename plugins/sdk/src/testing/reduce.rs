//! Takes away what wasn't declared, as the host does.

use crate::prelude::*;
use crate::{Attributes, Declaration, Field, HttpRequest, Input, PathExtent, Subject, TcpConnection};

pub fn reduce(declaration: &Declaration, subject: &Subject) -> Subject {
    let declared = |input: Input| declaration.inputs.contains(&input);
    match subject {
        Subject::Http(http) => Subject::Http(HttpRequest {
            method: http.method.clone().filter(|_| declared(Input::Method)),
            authority: http.authority.clone().filter(|_| declared(Input::Authority)),
            path: http.path.as_deref().and_then(|path| declared_path(declaration, path)),
            upgrade: http.upgrade.clone().filter(|_| declared(Input::Upgrade)),
            tls_name: http.tls_name.clone().filter(|_| declared(Input::TlsName)),
            client_address: http.client_address.clone().filter(|_| declared(Input::ClientAddress)),
            client_certificate: http.client_certificate.clone().filter(|_| declared(Input::ClientCertificate)),
            listener_port: http.listener_port.filter(|_| declared(Input::ListenerPort)),
            cookies: fields(declaration, &http.cookies, |input, name| match input {
                Input::Cookie(it, _) => it == name,
                Input::CookiePrefix(it, _) => name.starts_with(it.as_str()),
                _ => false,
            }),
            headers: fields(
                declaration,
                &http.headers,
                |input, name| matches!(input, Input::Header(it, _) if it.eq_ignore_ascii_case(name)),
            ),
            query: fields(declaration, &http.query, |input, name| matches!(input, Input::QueryParameter(it, _) if it == name)),
        }),
        Subject::Tcp(tcp) => Subject::Tcp(TcpConnection {
            listener_port: tcp.listener_port.filter(|_| declared(Input::ListenerPort)),
            client_address: tcp.client_address.clone().filter(|_| declared(Input::ClientAddress)),
            tls_name: tcp.tls_name.clone().filter(|_| declared(Input::TlsName)),
            client_certificate: tcp.client_certificate.clone().filter(|_| declared(Input::ClientCertificate)),
        }),
    }
}

pub fn attributes(declaration: &Declaration, attributes: &Attributes) -> Attributes {
    attributes
        .iter()
        .filter(|(name, _)| declaration.inputs.contains(&Input::SessionAttribute((*name).to_owned())))
        .map(|(name, values)| (name.to_owned(), values.to_vec()))
        .collect()
}

fn fields(declaration: &Declaration, fields: &[Field], wants: fn(&Input, &str) -> bool) -> Vec<Field> {
    fields.iter().filter(|field| declaration.inputs.iter().any(|input| wants(input, &field.name))).cloned().collect()
}

fn declared_path(declaration: &Declaration, path: &str) -> Option<String> {
    declaration.inputs.iter().find_map(|input| match input {
        Input::Path(PathExtent::Full) => Some(path.to_owned()),
        Input::Path(PathExtent::Segments(count)) => {
            let end = path.match_indices('/').nth(*count as usize).map_or(path.len(), |(at, _)| at);
            Some(path[..end].to_owned())
        }
        _ => None,
    })
}
