const outcome = document.getElementById("outcome");
// Acts as jweixin.js and WeChat's browser, which knows the page's URL itself.
const wx = {
  async config({ appId, timestamp, nonceStr, signature }) {
    const body = JSON.stringify({ appId, timestamp, nonceStr, signature, url: location.href });
    const answer = await fetch("/js-sdk-check", { method: "POST", headers: { "content-type": "application/json" }, body });
    return (await answer.json()).errMsg;
  },
};
async function configure() {
  document.getElementById("address").textContent = location.href;
  const said = await wx.config(JSON.parse(outcome.dataset.config)).catch((error) => String(error));
  outcome.textContent = said;
  outcome.className = said === "config:ok" ? "notice" : "notice warn";
}
document.getElementById("change").addEventListener("click", () => {
  const url = new URL(location.href);
  url.searchParams.set("changed", Date.now());
  history.replaceState(null, "", url);
  configure();
});
document.getElementById("fragment").addEventListener("click", () => {
  location.hash = "part-" + Date.now();
  configure();
});
configure();
