// Tells screen readers what an explorer shows, once it rests, and keeps its keys from the notebook around it: there, an
// arrow goes to another cell and X cuts one.

const REST_MS = 500; // a hand that drags would be read aloud thirty times a second

function passesOn(event) {
  const runs = event.key === "Enter" && event.shiftKey;
  return event.ctrlKey || event.metaKey || event.altKey || runs || event.key === "Escape";
}

function render({ model, el }) {
  el.className = "mrkd-voice";
  el.setAttribute("role", "status");
  el.setAttribute("aria-live", "polite");

  let timer = null;
  function speak() {
    clearTimeout(timer);
    timer = setTimeout(() => { el.textContent = model.get("text"); }, REST_MS);
  }
  model.on("change:text", speak);

  let explorer = null;
  const keep = (event) => { if (!passesOn(event)) event.stopPropagation(); };
  const waiting = setTimeout(() => { // the element is not in the page yet
    explorer = el.closest(".mrkd-explorer");
    explorer?.setAttribute("data-lm-suppress-shortcuts", "true");
    explorer?.addEventListener("keydown", keep);
  }, 0);
  return () => {
    clearTimeout(timer);
    clearTimeout(waiting);
    explorer?.removeEventListener("keydown", keep);
    model.off("change:text", speak);
  };
}

export default { render };
