//! `check explore`: stateright's Explorer over the actor model.

use super::{Failure, ask, output};
use crate::cli::ExploreArgs;
use crate::engine::Watch;
use crate::exit::Exit;
use crate::forms;
use crate::question::QuestionError;
use seamcheck_model::actors::{Delivery, Protocol, Walk};
use stateright::Model as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

pub(super) fn explore(args: &ExploreArgs, watch: &Arc<Watch>) -> Result<Exit, Failure> {
    let question = ask::actors_question(args)?;
    let protocol = Protocol::new(forms::actors::setup(&question)?, Delivery::AtOnce);
    let address = free(args.port)?;
    output::print(&format!(
        "http://{address}/  Explorer, on this machine only; Ctrl-C stops it\n"
    ))?;
    // The server never comes back; the program ends when it is told to.
    let server = std::thread::spawn(move || {
        Walk::new(protocol).checker().serve(address);
    });
    while !watch.is_stopped() {
        if server.is_finished() {
            return Err(Failure::Internal("the Explorer has ended by itself".into()));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(Exit::AsExpected)
}

/// Looks whether the port can be had: the Explorer itself would not say so in words.
fn free(port: u16) -> Result<SocketAddr, Failure> {
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = TcpListener::bind(wanted).map_err(|error| {
        QuestionError::Usage(format!(
            "port {port} can not be had: {error}; choose another with --port, or any free one with --port 0"
        ))
    })?;
    let address = listener.local_addr();
    address.map_err(|error| Failure::Internal(error.to_string()))
}
