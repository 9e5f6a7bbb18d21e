// Tells screen readers what an explorer shows, once it rests, and keeps its keys from the notebook around it: there, an
// arrow goes to another cell and X cuts one. Tells Python whether the page is dark, so that pictures can be, too.

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

  // Whether the page around is dark: JupyterLab, Notebook and Voila say so on the body, VS Code too; else the system.
  const system = matchMedia("(prefers-color-scheme: dark)");
  function look() {
    const { jpThemeLight, vscodeThemeKind } = document.body.dataset;
    const dark = jpThemeLight ? jpThemeLight === "false"
      : vscodeThemeKind ? vscodeThemeKind.includes("dark") : system.matches;
    if (dark === model.get("dark")) return;
    model.set("dark", dark);
    model.save_changes();
  }
  const themes = new MutationObserver(look);
  themes.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-vscode-theme-kind"] });
  system.addEventListener("change", look);
  look();

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
    themes.disconnect();
    system.removeEventListener("change", look);
    explorer?.removeEventListener("keydown", keep);
    model.off("change:text", speak);
  };
}

export default { render };
