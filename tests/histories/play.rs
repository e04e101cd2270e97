//! Plays a history step by step.

use std::sync::Arc;
use std::time::Duration;

use base::clock::Timestamp;
use futures::future::BoxFuture;
use simulator::{Consent, Push};
use stories::browser::{AtWechat, Browser};
use stories::business::Link;
use tokio::time::timeout;

use crate::model::{SentPush, WayBack, nth};
use crate::stage::Stage;
use crate::step::{Job, Process, Shop, Step};

/// The longest wait for a page or a response: after this, the other side is held.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// The interval in which WeChat pushes a ticket.
const TICKETS: Duration = Duration::from_mins(10);

impl Stage {
    /// Plays one step.
    pub(crate) async fn take(&mut self, step: &Step) {
        let at = self.world.now().since(stories::world::START).as_secs();
        self.model.tell(format!("{:>5}:{:02}  {step}", at / 60, at % 60));
        match *step {
            Step::Passes(time) => self.pass(time).await,
            Step::Joins(shop) => self.join(shop).await,
            Step::Authorizes { shop, stamp } => self.authorize(shop, stamp),
            Step::Revokes { shop, stamp } => self.revoke(shop, stamp),
            Step::Visits { link, shop, stamp } => self.visit(link, shop, stamp).await,
            Step::Does(job) => {
                if let Some(work) = self.job(job) {
                    work.await;
                }
            }
            Step::Suffers(job, trouble) => {
                if let Some(work) = self.job(job) {
                    self.set(trouble);
                    work.await;
                    self.set_troubles();
                }
            }
            Step::Begins(job, point) => self.begin(job, point).await,
            Step::Together(one, other) => {
                let works = [self.job(one), self.job(other)];
                futures::future::join_all(works.into_iter().flatten()).await;
            }
            Step::GoesOn(number) => self.go_on(number).await,
            Step::Dies(number) => self.die(number).await,
            Step::Fails(trouble) => self.fail(trouble),
            Step::Heals => self.heal(),
        }
        self.note_links().await;
    }

    /// Lets time pass.
    pub(crate) async fn pass(&mut self, time: Duration) {
        self.world.pass(time);
        self.end_troubles();
        if self.tickets_stopped {
            // The pushes that `api_start_push_ticket` caused.
            self.world.simulator.pushes_settled().await;
            self.tickets_stopped = self.world.simulator.snapshot().unwrap()["tickets_stopped"] == true;
        }
        if time >= TICKETS && !self.tickets_stopped {
            self.world.simulator.push_ticket().await;
        }
    }

    fn authorize(&mut self, shop: Shop, stamp: i64) {
        let consent = self.world.simulator.authorize_without_link(&self.account(shop).appid).unwrap();
        self.send_later(shop, consent.push, stamp);
    }

    fn revoke(&mut self, shop: Shop, stamp: i64) {
        match self.world.simulator.unauthorize(&self.account(shop).appid) {
            Some(push) => self.send_later(shop, push, stamp),
            None => self.model.tell("       it has none"),
        }
    }

    fn send_later(&self, shop: Shop, push: Push, stamp: i64) {
        let push = SentPush {
            push: stamped(push, stamp),
            account: self.account(shop).appid.clone(),
            sent: false,
            accepted: false,
        };
        self.model.record().pushes.push(push);
    }

    async fn join(&mut self, shop: Shop) {
        self.authorize(shop, 0);
        let last = self.model.record().pushes.len() - 1;
        self.push(last).await;
        self.run(Process(0), Run::Inbox).await;
    }

    /// A merchant's way through a link, as far as it goes.
    async fn visit(&mut self, link: usize, shop: Shop, stamp: i64) {
        let Some(at_wechat) = press(&self.browsers[0], &self.links[link]).await else {
            self.model.tell("       the button leads nowhere");
            return;
        };
        let confirmed = self.world.simulator.confirm(&at_wechat.pre_auth_code(), &self.account(shop).appid);
        let Consent { redirect_code, push, .. } = confirmed.unwrap();
        {
            let mut record = self.model.record();
            record.returns.push(WayBack { url: at_wechat.way_back(&redirect_code), link });
            record.through.push((link, self.account(shop).appid.clone()));
        }
        self.comes_through(link, &self.account(shop).appid);
        self.send_later(shop, push, stamp);
    }

    /// A job, ready to be done; `None` if there is nothing to do.
    pub(crate) fn job(&self, job: Job) -> Option<BoxFuture<'static, ()>> {
        match job {
            Job::Renew(process) => Some(self.run(process, Run::Renew)),
            Job::Reconcile(process) => Some(self.run(process, Run::Reconcile)),
            Job::Inbox(process) => Some(self.run(process, Run::Inbox)),
            Job::Push(number) => {
                let number = self.model.record().under_way(number)?;
                Some(self.push(number))
            }
            Job::PushAgain(number) => {
                let number = self.model.record().sent(number)?;
                Some(self.push(number))
            }
            Job::Return { number, own_browser } => self.come_back(number, own_browser),
            Job::Message { shop, follower } => Some(self.write(shop, follower)),
            Job::Say { shop, said } => Some(self.say(shop, said)),
            Job::MessageAgain(number) => {
                let written = self.model.record().messages.len();
                Some(self.deliver(number.checked_rem(written)?))
            }
        }
    }

    /// A push arrives.
    fn push(&self, number: usize) -> BoxFuture<'static, ()> {
        let (simulator, model) = (self.world.simulator.clone(), self.model.clone());
        let push = {
            let mut record = model.record();
            let push = &mut record.pushes[number];
            push.sent = true;
            let told = format!("       {} of account {} arrives", push.push.info_type, self.letter(&push.account));
            let push = push.push.clone();
            record.told.push(told);
            push
        };
        Box::pin(async move {
            let outcome = simulator.send(&push).await;
            if outcome.is_accepted() {
                model.record().pushes[number].accepted = true;
            } else {
                model.tell(format!("       it is not accepted: {:?}", outcome.answer));
            }
        })
    }

    fn come_back(&self, number: usize, own_browser: bool) -> Option<BoxFuture<'static, ()>> {
        let model = self.model.clone();
        let (url, link) = nth(&model.record().returns, number).map(|back| (back.url.clone(), back.link))?;
        let browser = Arc::clone(&self.browsers[usize::from(!own_browser)]);
        Some(Box::pin(async move {
            match timeout(PATIENCE, browser.open(&url)).await {
                Err(_) => model.tell("       the merchant closes the page"),
                Ok(page) => {
                    let title = page.text.split_once("<h1>").and_then(|(_, rest)| rest.split_once("</h1>"));
                    let title = title.map_or("", |(title, _)| title);
                    model.tell(format!("       through link {link}: {} {title}", page.status));
                }
            }
        }))
    }

    /// The letter of an account.
    pub(crate) fn letter(&self, appid: &base::ids::AppId) -> Shop {
        Shop(self.accounts.iter().position(|account| account.appid == *appid).unwrap())
    }
}

/// A run of the refresher.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    Renew,
    Reconcile,
    Inbox,
}

/// Opens a link's page and presses its button; `None` if that does not lead to WeChat.
async fn press(browser: &Browser, link: &Link) -> Option<AtWechat> {
    let launch = browser.open(&link.url).await;
    // A link that was used up has a page without a button.
    if launch.status != 200 || !launch.text.contains("<form") {
        return None;
    }
    let pressed = browser.submit(&launch, &[]).await;
    (pressed.status == 303).then(|| AtWechat(pressed.location()))
}

/// The push as stamped by a server of WeChat's whose clock is this many seconds ahead.
fn stamped(mut push: Push, ahead: i64) -> Push {
    let stamp = Timestamp::from_unix(push.create_time.unix() + ahead);
    push.message = push.message.replacen(&push.create_time.unix().to_string(), &stamp.unix().to_string(), 1);
    push.create_time = stamp;
    push
}
