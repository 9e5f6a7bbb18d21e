// The canvas of the defect painter: brush, smear, colour picker, undo, a photo of one's own.
// It shows `base` (PNG bytes) and reports what was painted as raw RGBA bytes in `value`; empty means untouched.
// One report is under way at a time: the next leaves when Python has counted up `answered`, with the newest picture.

const TOOLS = [
  ["brush", "Brush", "paint with the colour (B)"],
  ["smear", "Smear", "drag the picture's own colours along (S)"],
  ["pick", "Pick colour", "take the colour from the picture (P)"],
];
const UNDO_STEPS = 20;
const GIVE_UP_MS = 4000; // an answer that takes longer is not waited for
const PICK = 9; // diameter of the cursor that picks a colour, pixels of the picture

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function render({ model, el }) {
  const side = model.get("side");
  const canvas = element("canvas", {
    width: side, height: side, tabindex: "0", "aria-label": model.get("tooltip"), class: "mrkd-canvas",
    role: "application", // else a screen reader keeps the arrow keys for itself
  });
  const ctx = canvas.getContext("2d", { willReadFrequently: true });
  const cursor = element("div", { class: "mrkd-cursor", "aria-hidden": "true" });

  let tool = "brush", last = null, keyDown = false;
  let drawing = null; // the pointer that draws; a second finger or a palm does not
  const keyboard = { x: side / 2, y: side / 2 };
  const undo = [];

  // ---- controls ------------------------------------------------------------------------------------------------
  const toolButtons = TOOLS.map(([name, label, title]) => {
    const button = element("button", { type: "button", title, "data-tool": name }, label);
    button.addEventListener("click", () => choose(name));
    return button;
  });
  const size = slider("Brush size", "diameter of the brush in pixels of the picture ([ and ])", 2, side / 3, side / 16);
  const soft = slider("Soft edge", "0: hard edge, 100: fades to the rim", 0, 100, 40);
  const colour = element("input", { type: "color", value: "#3a2a1a", title: "colour of the brush", "aria-label": "Colour" });
  const colourLabel = element("label", {}, "Colour ", colour);
  const undoButton = action("Undo", "take back the last stroke (Ctrl+Z)", undoStroke);
  const clearButton = action("Clear", "back to the picture without paint", () => { remember(); drawBase().then(untouched); });
  const file = element("input", { type: "file", accept: "image/*", hidden: "" });
  const fileButton = action("Own photo", "open a photo of your own; dropping it on the picture works too", () => file.click());
  file.addEventListener("change", () => {
    if (file.files[0]) load(file.files[0]);
    file.value = ""; // else the same file could not be chosen again
  });

  function slider(label, title, low, high, start) {
    const input = element("input", { type: "range", min: low, max: Math.round(high), value: Math.round(start), title });
    const wrapped = element("label", { title }, label + " ", input);
    wrapped.input = input;
    return wrapped;
  }
  function action(label, title, what) {
    const button = element("button", { type: "button", title }, label);
    button.addEventListener("click", what);
    return button;
  }
  function choose(name) {
    tool = name;
    for (const button of toolButtons) button.setAttribute("aria-pressed", String(button.dataset.tool === name));
  }
  const diameter = () => Number(size.input.value);

  // ---- painting ------------------------------------------------------------------------------------------------
  function remember() {
    undo.push(ctx.getImageData(0, 0, side, side));
    if (undo.length > UNDO_STEPS) undo.shift();
  }
  function undoStroke() {
    if (undo.length === 0) return;
    ctx.putImageData(undo.pop(), 0, 0);
    tell();
  }
  function disc(radius, rgba) { // a brush tip that fades from its hard core to its rim
    const core = Math.max(0.01, 1 - Number(soft.input.value) / 100);
    const tip = ctx.createRadialGradient(0, 0, 0, 0, 0, radius);
    tip.addColorStop(0, rgba(1));
    tip.addColorStop(Math.min(0.99, core), rgba(1));
    tip.addColorStop(1, rgba(0));
    return tip;
  }
  function dab(x, y, radius) {
    const [r, g, b] = [1, 3, 5].map((i) => parseInt(colour.value.slice(i, i + 2), 16));
    ctx.save();
    ctx.translate(x, y);
    ctx.fillStyle = disc(radius, (a) => `rgba(${r},${g},${b},${a})`);
    ctx.beginPath();
    ctx.arc(0, 0, radius, 0, 2 * Math.PI);
    ctx.fill();
    ctx.restore();
  }
  function smear(from, to, radius) { // what lies under the old place is laid, masked by the brush tip, on the new one
    const width = Math.ceil(2 * radius);
    const patch = new OffscreenCanvas(width, width), p = patch.getContext("2d");
    p.drawImage(canvas, from.x - radius, from.y - radius, width, width, 0, 0, width, width);
    p.globalCompositeOperation = "destination-in";
    p.translate(radius, radius);
    p.fillStyle = disc(radius, (a) => `rgba(0,0,0,${0.8 * a})`);
    p.fillRect(-radius, -radius, width, width);
    ctx.drawImage(patch, to.x - radius, to.y - radius);
  }
  function stroke(to, pressure) {
    const radius = Math.max(1, (diameter() / 2) * pressure);
    const from = last ?? to;
    const length = Math.hypot(to.x - from.x, to.y - from.y);
    const steps = Math.max(1, Math.ceil(length / Math.max(1, radius / 4)));
    let previous = from;
    for (let i = 1; i <= steps; i++) {
      const place = { x: from.x + ((to.x - from.x) * i) / steps, y: from.y + ((to.y - from.y) * i) / steps };
      if (tool === "brush") dab(place.x, place.y, radius);
      else smear(previous, place, radius);
      previous = place;
    }
    last = to;
    tell();
  }
  function pick(place) {
    const [r, g, b] = ctx.getImageData(Math.floor(place.x), Math.floor(place.y), 1, 1).data;
    colour.value = "#" + [r, g, b].map((v) => v.toString(16).padStart(2, "0")).join("");
    choose("brush");
  }

  // ---- mouse, pen, finger --------------------------------------------------------------------------------------
  function place(event) {
    const box = canvas.getBoundingClientRect();
    return { x: ((event.clientX - box.left) / box.width) * side, y: ((event.clientY - box.top) / box.height) * side };
  }
  function showCursor(at) {
    const scale = canvas.clientWidth / side;
    cursor.style.width = cursor.style.height = `${(tool === "pick" ? PICK : diameter()) * scale}px`;
    cursor.style.left = `${at.x * scale}px`;
    cursor.style.top = `${at.y * scale}px`;
    cursor.style.display = "block";
  }
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || drawing !== null) return;
    event.preventDefault();
    canvas.focus({ preventScroll: true }); // a page that moves would draw a line
    const at = place(event);
    if (tool === "pick") return pick(at);
    canvas.setPointerCapture(event.pointerId);
    drawing = event.pointerId;
    remember();
    last = null;
    stroke(at, event.pointerType === "pen" ? 2 * event.pressure : 1);
  });
  canvas.addEventListener("pointermove", (event) => {
    showCursor(place(event));
    if (event.pointerId !== drawing) return;
    for (const part of event.getCoalescedEvents?.() ?? [event]) {
      stroke(place(part), part.pointerType === "pen" ? 2 * part.pressure : 1);
    }
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    canvas.addEventListener(end, (event) => { if (event.pointerId === drawing) drawing = null; });
  }
  canvas.addEventListener("pointerleave", () => { cursor.style.display = "none"; });

  // ---- keyboard: arrows move, the space bar paints -------------------------------------------------------------
  canvas.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    let taken = true;
    if (moves[key]) {
      const far = event.shiftKey ? side / 16 : side / 64;
      keyboard.x = Math.min(side - 1, Math.max(0, keyboard.x + moves[key][0] * far));
      keyboard.y = Math.min(side - 1, Math.max(0, keyboard.y + moves[key][1] * far));
      if (keyDown) stroke({ ...keyboard }, 1);
    } else if (key === " ") {
      if (event.repeat) ; // held down: it paints already, or has picked
      else if (tool === "pick") pick(keyboard);
      else { keyDown = true; remember(); last = null; stroke({ ...keyboard }, 1); }
    } else if (key === "z" && (event.ctrlKey || event.metaKey)) undoStroke();
    else if (key === "[" || key === "]") size.input.value = diameter() + (key === "]" ? 2 : -2);
    else if ("bsp".includes(key) && !event.ctrlKey && !event.metaKey) choose({ b: "brush", s: "smear", p: "pick" }[key]);
    else taken = false;
    if (taken) { // else JupyterLab would take B or S for a command of its own
      event.preventDefault();
      event.stopPropagation();
      showCursor(keyboard);
    }
  });
  canvas.addEventListener("keyup", (event) => { if (event.key === " ") keyDown = false; });
  canvas.addEventListener("focus", () => { if (canvas.matches(":focus-visible")) showCursor(keyboard); });
  canvas.addEventListener("blur", () => { keyDown = false; cursor.style.display = "none"; });

  // ---- a photo of one's own ------------------------------------------------------------------------------------
  async function load(blob) {
    let photo;
    try {
      photo = await createImageBitmap(blob);
    } catch {
      note.textContent = `${blob.name ?? "This file"} is no picture that this browser can open. Try JPEG or PNG.`;
      return;
    }
    note.textContent = "";
    remember();
    ctx.imageSmoothingQuality = "high";
    ctx.drawImage(photo, 0, 0, side, side); // the whole photo as a square, as the models were trained
    tell();
  }
  canvas.addEventListener("dragover", (event) => event.preventDefault());
  canvas.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files[0]) load(event.dataTransfer.files[0]);
    else note.textContent = "That was no file. Save the picture first, then drop the file here.";
  });

  // ---- to and from Python --------------------------------------------------------------------------------------
  let sent = model.get("sent"), asked = 0, waiting = false, dirty = false, own = false;
  function report(value) {
    const mine = ++sent;
    own = true;
    model.set({ value, sent: mine }); // the number tells Python of a picture that is like the one before, too
    own = false;
    model.save_changes();
    waiting = true;
    setTimeout(() => { if (waiting && mine === sent) answered(); }, GIVE_UP_MS);
  }
  function tell() {
    if (waiting) { dirty = true; return; }
    report(new DataView(ctx.getImageData(0, 0, side, side).data.buffer));
  }
  function untouched() {
    dirty = false;
    report(new DataView(new ArrayBuffer(0)));
  }
  function answered() {
    waiting = false;
    if (dirty) { dirty = false; tell(); }
  }
  async function drawBase() {
    const mine = ++asked;
    const base = await createImageBitmap(new Blob([model.get("base")], { type: "image/png" }));
    if (mine === asked) ctx.drawImage(base, 0, 0, side, side); // else a newer one is on its way
  }
  async function fromPython() {
    if (own) return;
    dirty = false; // what was painted and not sent yet is gone
    const value = model.get("value");
    if (value.byteLength === 4 * side * side) {
      const bytes = new Uint8ClampedArray(value.buffer.slice(value.byteOffset, value.byteOffset + value.byteLength));
      ctx.putImageData(new ImageData(bytes, side, side), 0, 0);
    } else {
      undo.length = 0;
      await drawBase();
    }
  }
  model.on("change:answered", answered);
  model.on("change:value", fromPython);
  model.on("change:base", fromPython);

  const note = element("div", { class: "mrkd-problem", role: "alert" });
  el.classList.add("mrkd-painter");
  el.append(
    element("div", { class: "mrkd-tools", role: "toolbar", "aria-label": "Painting tools" },
      ...toolButtons, colourLabel, undoButton, clearButton, fileButton, file),
    element("div", { class: "mrkd-tools" }, size, soft),
    element("div", { class: "mrkd-stage" }, canvas, cursor),
    note,
  );
  choose("brush");
  fromPython();
  return () => {
    model.off("change:answered", answered);
    model.off("change:value", fromPython);
    model.off("change:base", fromPython);
  };
}

export default { render };
