const list = document.getElementById("events");
const live = document.getElementById("live");
// Swedish writes dates as 2026-01-31 08:00:00, in the reader's own time zone.
const local = root => {
  for (const time of root.querySelectorAll("time")) {
    time.textContent = new Date(time.dateTime).toLocaleString("sv");
  }
};
local(list);
const source = new EventSource("/live?after=" + encodeURIComponent(list.dataset.position));
source.onopen = () => { live.hidden = false; };
source.onerror = () => { live.hidden = true; };
source.onmessage = message => {
  document.getElementById("nothing")?.remove();
  list.insertAdjacentHTML("afterbegin", message.data);
  local(list.firstElementChild);
  while (list.childElementCount > list.dataset.shown) {
    list.lastElementChild.remove();
  }
};
