//! Valid options, and invalid ones, which are refused with a sentence.

use clap::CommandFactory as _;

use super::*;

fn parse(options: &[&str]) -> Result<Args, String> {
    Args::try_parse_from([&["local"], options].concat()).map_err(|error| error.to_string())
}

#[test]
fn every_option_has_a_default_that_works_and_a_help_text() {
    Args::command().debug_assert();
    let args = parse(&[]).unwrap();
    assert_eq!((args.port, args.business_port, args.simulator_port, args.shop_port), (3000, 3001, 3002, 3003));
    let of_aws = (args.dynamodb_port, args.secrets_port, args.events_port, args.files_port, args.lambda_port);
    assert_eq!(of_aws, (8000, 8001, 8002, 8003, 8004));
    assert_eq!((args.ticket_interval.as_secs(), args.token_lifetime.as_secs()), (600, 7200));
    assert!(args.bind.is_loopback());
    assert!(args.secret.is_none() && !args.no_simulator && !args.sample_webhook);
    assert!(Args::command().get_arguments().all(|argument| argument.get_help().is_some()));
}

#[test]
fn the_real_wechat_needs_the_users_own_secret() {
    assert!(parse(&["--no-simulator"]).unwrap_err().contains("--secret"));
    assert!(parse(&["--no-simulator", "--secret", "my.json"]).unwrap().no_simulator);
}

#[test]
fn further_hosts_are_only_names() {
    let args = parse(&["--allow-host", "host.docker.internal", "--allow-host", "Sim.Example.com"]).unwrap();
    assert_eq!(args.allow_host, ["host.docker.internal", "sim.example.com"]);
    for bad in ["http://sim.example.com", "sim.example.com:3002", "sim.example.com/", "10.0.0.7", "[::1]", "*", ""] {
        assert!(parse(&["--allow-host", bad]).unwrap_err().contains("--bind takes addresses"), "{bad}");
    }
}

#[test]
fn an_interval_of_zero_is_refused() {
    for bad in ["0", "-1", "1.5", "ten"] {
        assert!(parse(&["--ticket-interval", bad]).is_err(), "{bad}");
    }
    assert_eq!(parse(&["--token-lifetime", "120"]).unwrap().token_lifetime.as_secs(), 120);
}

#[test]
fn the_network_is_let_in_only_if_asked_for_and_at_one_address() {
    assert_eq!(parse(&[]).unwrap().lan, None);
    assert_eq!(parse(&["--lan"]).unwrap().lan, Some(None));
    assert_eq!(parse(&["--lan=192.168.1.7"]).unwrap().lan, Some(Some("192.168.1.7".parse().unwrap())));
    for refused in
        [&["--lan=phone"][..], &["--lan", "--bind", "10.0.0.7"], &["--lan", "--no-simulator", "--secret", "my.json"]]
    {
        assert!(parse(refused).is_err(), "{refused:?}");
    }
}
