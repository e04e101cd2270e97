const list = document.getElementById("messages");
let shown;
async function look() {
  try {
    const answer = await fetch(location.pathname + "/messages", { redirect: "error" });
    const lines = await answer.text();
    if (answer.ok && lines !== shown) list.innerHTML = shown = lines;
  } catch { /* The simulator is being restarted: the next look tells. */ }
}
async function lookForEver() {
  await look();
  setTimeout(lookForEver, 2000);
}
lookForEver();
for (const form of document.forms) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = new URLSearchParams(new FormData(form, event.submitter));
    const text = form.elements.text;
    if (text) text.value = "";
    setTimeout(look, 100);
    await fetch(location.href, { method: "POST", body, redirect: "manual" }).catch(() => location.reload());
    look();
  });
}
