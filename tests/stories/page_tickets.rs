//! Tickets that sign web pages: one shared by all services, issued once, renewed on request shortly before its end.

use std::collections::BTreeSet;
use std::time::Duration;

use base::ids::AppId;
use futures::future::join_all;
use serde_json::Value;
use simulator::Fault;
use stories::business::{Answer, Business};
use stories::faults::{Fault as TableFault, Matching};
use stories::world::World;

const TICKETS: &str = "/cgi-bin/ticket/getticket";

struct Stage {
    world: World,
    business: Business,
    account: AppId,
}

impl Stage {
    async fn ready() -> Self {
        let world = World::ready().await;
        let account = world.authorized_account().await;
        Self { business: Business::of(&world), world, account }
    }

    async fn asks_for(&self, kind: &str) -> Answer {
        self.business.reads_of_wechat(&self.account, &format!("cgi-bin/ticket/getticket?type={kind}")).await
    }

    async fn ticket(&self) -> String {
        let answer = self.asks_for("jsapi").await;
        assert_eq!((answer.status, &answer.body["errcode"], &answer.body["errmsg"]), (200, &0.into(), &"ok".into()));
        answer.body["ticket"].as_str().unwrap().to_owned()
    }

    /// The number of tickets that WeChat issued.
    fn asked(&self) -> usize {
        self.world.simulator.requests(TICKETS).len()
    }
}

fn code(answer: &Answer) -> i64 {
    answer.body["errcode"].as_i64().unwrap()
}

#[tokio::test]
async fn many_services_share_one_ticket_until_it_is_at_its_end() {
    let stage = Stage::ready().await;
    let tickets: BTreeSet<String> = join_all((0..20).map(|_| stage.ticket())).await.into_iter().collect();
    assert_eq!((tickets.len(), stage.asked()), (1, 1));
    let first = stage.asks_for("jsapi").await;
    assert_eq!(first.body["expires_in"], 7_200 - 300);
    // Another process, with an empty cache.
    let elsewhere = Business::of(&stage.world);
    let found = elsewhere.reads_of_wechat(&stage.account, "cgi-bin/ticket/getticket?type=jsapi").await;
    assert_eq!((&found.body["ticket"], stage.asked()), (&first.body["ticket"], 1));
    let cards = stage.asks_for("wx_card").await;
    assert_ne!(cards.body["ticket"], first.body["ticket"]);
    assert_eq!(stage.asked(), 2);
    stage.world.pass(Duration::from_secs(7_200 - 301));
    assert_eq!(stage.ticket().await, first.body["ticket"].as_str().unwrap());
    stage.world.pass(Duration::from_secs(6));
    assert_ne!(stage.ticket().await, first.body["ticket"].as_str().unwrap());
    assert_eq!(stage.asked(), 3);
}

#[tokio::test]
async fn an_account_that_has_left_gets_no_ticket_although_one_is_kept() {
    let stage = Stage::ready().await;
    stage.ticket().await;
    let withdrawal = stage.world.simulator.unauthorize(&stage.account).unwrap();
    stage.world.push_and_work(&withdrawal).await;
    stage.world.pass(Duration::from_secs(6));
    let refused = stage.asks_for("jsapi").await;
    assert_eq!((refused.status, refused.problem(), code(&refused)), (409, "authorization-ended", 61_003));
    assert_eq!(stage.asked(), 1);
}

#[tokio::test]
async fn a_token_that_wechat_refuses_is_renewed_and_the_ticket_issued() {
    let stage = Stage::ready().await;
    stage.world.pass(Duration::from_mins(2));
    stage.world.simulator.inject(Fault::errcode(40_001).on(TICKETS).times(1));
    stage.ticket().await;
    assert_eq!(stage.world.simulator.counters().effects.renewals_of(&stage.account), 1);
}

#[tokio::test]
async fn a_token_that_wechat_refuses_just_after_its_renewal_is_wechats_refusal() {
    let stage = Stage::ready().await;
    stage.world.simulator.inject(Fault::errcode(40_001).on(TICKETS).times(1));
    let refused = stage.asks_for("jsapi").await;
    assert_eq!((refused.status, refused.problem(), code(&refused)), (502, "wechat-refused", 40_001));
    assert_eq!((stage.asked(), stage.world.simulator.counters().effects.renewals_of(&stage.account)), (1, 0));
    stage.world.pass(Duration::from_secs(16));
    stage.ticket().await;
}

#[tokio::test]
async fn what_wechat_refuses_is_said_listed_and_not_asked_again_at_once() {
    let stage = Stage::ready().await;
    stage.world.simulator.inject(Fault::errcode(48_001).on(TICKETS).times(1));
    let refused = stage.asks_for("jsapi").await;
    assert_eq!((refused.status, refused.problem(), code(&refused)), (502, "wechat-refused", 48_001));
    let again = stage.asks_for("jsapi").await;
    assert_eq!((again.status, again.problem()), (503, "token-unavailable"));
    assert_eq!((&again.body["last_error"], stage.asked()), (&"48001".into(), 1));
    let failed = stage.business.get("/calls").await.body["calls"][0].clone();
    assert_eq!((&failed["path"], &failed["errcode"]), (&"cgi-bin/ticket/getticket".into(), &48_001.into()));
    stage.world.pass(Duration::from_secs(16));
    stage.ticket().await;
}

#[tokio::test]
async fn a_ticket_whose_write_is_lost_is_found_and_not_issued_twice() {
    let stage = Stage::ready().await;
    stage.world.faults.next(1, Matching::setting("access_token").containing("page-ticket"), TableFault::LostReply);
    let ticket = stage.ticket().await;
    let elsewhere = Business::of(&stage.world);
    let found = elsewhere.reads_of_wechat(&stage.account, "cgi-bin/ticket/getticket?type=jsapi").await;
    assert_eq!((found.body["ticket"].as_str(), stage.asked()), (Some(ticket.as_str()), 1));
    assert!(stage.world.faults.all_used());
}

#[tokio::test]
async fn a_kind_that_the_platform_does_not_keep_is_wechats_to_refuse() {
    let stage = Stage::ready().await;
    for query in ["", "?type=", "?type=other"] {
        let answer = stage.business.reads_of_wechat(&stage.account, &format!("cgi-bin/ticket/getticket{query}")).await;
        assert_eq!((answer.status, code(&answer)), (200, 40_097), "{query}");
    }
    let platform: Value = stage.business.get("/wechat/platform/cgi-bin/ticket/getticket?type=jsapi").await.body;
    assert_ne!(platform["errcode"], 0);
}
