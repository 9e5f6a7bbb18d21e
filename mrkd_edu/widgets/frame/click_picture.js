// A picture (`value`, PNG bytes) that sends {click: [x, y]}, shares of its width and height, and {move: [right, down]}.
// While the hand drags, the newest place is sent once a frame.

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const FAR = 4; // steps of an arrow key with Shift

function render({ model, el }) {
  const image = document.createElement("img");
  image.alt = "";
  image.draggable = false;
  const stage = document.createElement("div");
  stage.className = "mrkd-click";
  stage.tabIndex = 0;
  stage.setAttribute("role", "application"); // else a screen reader keeps the arrow keys for itself
  stage.append(image);
  el.append(stage);

  let waiting = null; // the newest place that was not sent yet
  function tell(event) {
    const box = image.getBoundingClientRect();
    const share = (value, start, length) => Math.min(1, Math.max(0, (value - start) / length));
    const first = waiting === null;
    waiting = [share(event.clientX, box.left, box.width), share(event.clientY, box.top, box.height)];
    if (!first) return;
    requestAnimationFrame(() => {
      model.send({ click: waiting });
      waiting = null;
    });
  }
  image.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    stage.focus({ preventScroll: true });
    image.setPointerCapture(event.pointerId);
    tell(event);
  });
  image.addEventListener("pointermove", (event) => {
    if (image.hasPointerCapture(event.pointerId)) tell(event);
  });
  stage.addEventListener("keydown", (event) => {
    const move = MOVES[event.key];
    if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation(); // else JupyterLab takes the arrows to go to another cell
    model.send({ move: move.map((step) => step * (event.shiftKey ? FAR : 1)) });
  });

  const shown = []; // the addresses of pictures, the newest last
  function free(keep) {
    while (shown.length > keep) URL.revokeObjectURL(shown.shift());
  }
  image.onload = image.onerror = () => free(1); // older ones stay until the newest is there
  function show() {
    shown.push(URL.createObjectURL(new Blob([model.get("value")], { type: "image/png" })));
    image.src = shown.at(-1);
  }
  function name() {
    stage.title = model.get("tooltip");
    stage.setAttribute("aria-label", model.get("tooltip"));
  }
  model.on("change:value", show);
  model.on("change:tooltip", name);
  name();
  if (model.get("value").byteLength) show();
  return () => {
    model.off("change:value", show);
    model.off("change:tooltip", name);
    free(0);
  };
}

export default { render };
