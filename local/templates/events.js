const list = document.getElementById("events");
const live = document.getElementById("live");
const source = new EventSource("/live?after=" + encodeURIComponent(list.dataset.position));
source.onopen = () => { live.hidden = false; };
source.onerror = () => { live.hidden = true; };
source.onmessage = message => {
  document.getElementById("nothing")?.remove();
  list.insertAdjacentHTML("afterbegin", message.data);
  while (list.childElementCount > list.dataset.shown) {
    list.lastElementChild.remove();
  }
};
