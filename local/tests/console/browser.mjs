// The common parts of the scripts that use the pages: the browser, the checks of every page, and the report of
// failures.
import { readFileSync, mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

const axe = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const pictures = new URL("pictures/", import.meta.url);
mkdirSync(pictures, { recursive: true });

let wrong = 0;
/** Prints the failure unless the condition holds. */
export const check = (holds, said) => {
  if (!holds) {
    wrong += 1;
    console.log(said);
  }
};

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});

/** A separate browser. Pictures of accounts are on WeChat's hosts, which no test contacts. */
export const open = async (options) => {
  const context = await browser.newContext(options);
  await context.route(/qlogo\.cn|qpic\.cn/, (route) => route.fulfill({ status: 204 }));
  return context;
};

/** A page of it; its errors, and anything that its policy blocks, are failures. */
export const newPage = async (context, where = () => "") => {
  const page = await context.newPage();
  page.setDefaultTimeout(15000);
  page.on("pageerror", (error) => check(false, `${where()} ${page.url()}: ${error}`));
  page.on("console", (message) => {
    check(!message.text().includes("Content Security Policy"), `${where()} ${page.url()}: ${message.text()}`);
  });
  return page;
};

/** Opens a URL, whose response must have the status. */
export const go = async (page, url, status = 200) => {
  const answer = await page.goto(url);
  check(answer.status() === status, `${url}: status ${answer.status()}`);
  return answer;
};

/** Follows a link or presses a button, and waits for the page that it leads to. */
export const follow = (page, element) => Promise.all([page.waitForEvent("load"), element.first().click()]);

/** Checks a page's looks, and takes a screenshot. */
export const look = async (page, name, where) => {
  await page.screenshot({ path: new URL(`${name}.png`, pictures).pathname, fullPage: true });
  const fits = await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
  check(fits, `${where}: wider than the screen`);
  check((await page.locator("h1").count()) === 1, `${where}: not one heading of the first level`);
  await page.evaluate(axe);
  const violations = await page.evaluate(async () => (await window.axe.run()).violations);
  for (const { id, nodes } of violations) {
    check(false, `${where}: ${id} ${nodes.map((node) => node.html.slice(0, 160)).join(" ")}`);
  }
};

/** Ends the script. */
export const end = async () => {
  await browser.close();
  process.exit(wrong ? 1 : 0);
};
