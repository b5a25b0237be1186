"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const make = (parent, tag, count) => Array.from({ length: count },
  () => parent.appendChild(document.createElement(tag)));
const SIDE = 7, CELLS = SIDE * SIDE, ANSWERS = 10, FOR = [200, 30, 45], AGAINST = [30, 105, 200];
const OWN = "own", SEEN = 224, SHOWN = 960;  // Pixels that the network sees, that the page shows.
const MOST = 89, BRUSH = 0.09, SMALLEST = 0.05;  // Megapixels; parts of the picture's length.
const names = data.names, bias = Float64Array.from(halves(data.bias));
const inferno = data.inferno.match(/../g).map((byte) => parseInt(byte, 16));

// What the address holds: a picture, a class, perhaps a second class, and the cells taken away.
const state = { picture: data.pictures[0], cls: 0, other: null, off: new Set() };
let past = [];  // Earlier sets of cells, for undo.
let whole = null;  // The answer to the whole picture.
let last = null;  // The cell that was touched last.
let isSigned = false;  // The map of one class; that of two is signed anyway.
let wanted = null;  // Of an address that was made with somebody's own picture.

/** Float16, little-endian, in base64. */
function halves(text) {
  const letters = atob(text), values = new Float32Array(letters.length / 2);
  for (let i = 0; i < values.length; i++) {
    const code = letters.charCodeAt(2 * i) + 256 * letters.charCodeAt(2 * i + 1);
    const exponent = (code >> 10) & 31, fraction = code & 1023;
    const size = exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -24 * fraction;
    values[i] = code & 32768 ? -size : size;
  }
  return values;
}

/** The network's answer without the evidence of these cells: the other shares and the bias. */
function answer(off, { shares } = state.picture) {
  const kept = [...Array(CELLS).keys()].filter((cell) => !off.has(cell));
  const sum = (start, cls) => kept.reduce((part, cell) => part + shares[cls * CELLS + cell], start);
  return ranked(bias.map(sum));
}

/** Logits with their softmax, and the classes in their order. */
function ranked(logits) {
  const top = Math.max(...logits), powers = logits.map((logit) => Math.exp(logit - top));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return { logits, probabilities: powers.map((power) => power / total), order: strongest(logits) };
}

/** The 49 shares of the class, or of the difference of two classes. */
function shares({ picture, cls, other } = state) {
  const of = (one) => picture.shares.subarray(one * CELLS, (one + 1) * CELLS);
  return of(cls).map((share, cell) => share - (other === null ? 0 : of(other)[cell]));
}

const strongest = (values) => [...values.keys()].sort((a, b) => values[b] - values[a]);
const words = (value, digits = 3) => value.toFixed(digits).replace("-", "−");
const signed = (value, digits) => (value < 0 ? "" : "+") + words(value, digits);
const plain = (text) => text.trim().toLowerCase().replaceAll("_", " ");
const count = (number) => `${number} ${number === 1 ? "cell" : "cells"}`;

/** The class that a text names, by its name or index; null if none. */
function find(text) {
  const key = plain(text ?? "");
  const bare = (name) => plain(name).replace(/ \(\d+\)$/, "");
  const found = names.findIndex((name, cls) => [plain(name), bare(name), `${cls}`].includes(key));
  return found < 0 ? null : found;
}

/** Show a picture whose shares are known. */
function setPicture(picture, keepsClasses = false, off = new Set()) {
  picture.shares ||= halves(picture.cam).map((value) => value / CELLS);
  Object.assign(state, { picture, off });
  [past, last] = [[], null];
  whole = answer(new Set());
  if (!keepsClasses) Object.assign(state, { cls: whole.order[0], other: null });
  Object.assign($("photo"), { src: picture.source, alt: picture.alt });
  $("stage").style.setProperty("--ratio", picture.size[0] / picture.size[1]);
  $("sets").replaceChildren();
  make($("sets"), "button", picture.sets.length).forEach((button, index) => {
    button.textContent = picture.sets[index].name;
    button.addEventListener("click", () => takeAway(picture.sets[index].cells));
  });
  setTool();
  draw();
}

function setClasses(cls, other) {
  isFollowing = false;
  $("unknown").textContent = other === cls ? "A class minus itself is 0 in every cell." : "";
  Object.assign(state, { cls, other: other === cls ? null : other });
  draw();
}

/** Take away these cells and no others. */
function takeAway(off, isStep = true) {
  if (isStep) past.push(state.off);
  state.off = new Set(off);
  draw();
}

function toggle(cell, isOff, isStep) {
  last = cell;
  const off = new Set(state.off);
  if (isOff) off.add(cell); else off.delete(cell);
  takeAway(off, isStep);
}

function readAddress() {
  const address = location.hash, parts = new URLSearchParams(address.slice(1));
  const picture = byKey(parts.get("picture"));
  choosePicture(picture ?? data.pictures[0]);
  setClasses(find(parts.get("class")) ?? state.cls, find(parts.get("other")));
  const cells = (parts.get("off") ?? "").match(/\d+/g) ?? [];
  takeAway(cells.map(Number).filter((cell) => cell < CELLS), false);
  if (picture || parts.get("picture") !== OWN) return;
  wanted = address;
  say("This address was made with somebody’s own picture, which is not in it. Choose that picture"
    + " here, and its classes and cells come back.");
}

function writeAddress() {
  const name = (cls) => (names[cls].endsWith(")") ? cls : names[cls].replaceAll(" ", "_"));
  const parts = { picture: state.picture.key, class: name(state.cls) };
  if (state.other !== null) parts.other = name(state.other);
  const address = `#${new URLSearchParams(parts)}&off=${[...state.off].sort((a, b) => a - b)}`;
  try { history.replaceState(null, "", address); } catch { /* Safari allows only so many. */ }
}

const buttons = make($("cells"), "button", CELLS);
buttons.forEach((button, cell) => { button.dataset.cell = cell; });
const bars = make($("bars"), "i", CELLS);
const rows = make($("answers"), "li", ANSWERS);
for (const row of rows) {
  row.innerHTML = "<button><span></span><i></i><b></b></button>";
  row.firstChild.addEventListener("click", () => setClasses(+row.dataset.class, state.other));
}
/** Its thumbnail and its line in the list: at the end, or at the beginning. */
function addPicture(picture, isFirst) {
  const option = new Option(picture.title, picture.key);
  $("picture").add(option, isFirst ? 0 : null);
  [picture.thumb] = make($("thumbs"), "button", 1);
  if (isFirst) $("thumbs").prepend(picture.thumb);
  [picture.image] = make(picture.thumb, "img", 1);
  Object.assign(picture.image, { src: picture.source, alt: "" });
  make(picture.thumb, "span", 1)[0].textContent = picture.title;
  picture.thumb.addEventListener("click", () => choosePicture(byKey(picture.key)));
}

const byKey = (name) => data.pictures.find(({ key }) => key === name);
for (const picture of data.pictures) {
  picture.pixels = picture.size;
  picture.paint = (pen) => pen.drawImage(picture.image, 0, 0);
  addPicture(picture, false);
}

function draw() {
  const now = answer(state.off), values = shares(), order = strongest(values);
  const isTwoSided = state.other !== null || isSigned;
  $(isTwoSided ? "signed" : "positive").checked = true;
  $("positive").disabled = state.other !== null;
  $("picture").value = state.picture.key;
  for (const { key, thumb } of data.pictures) {
    thumb.setAttribute("aria-pressed", key === state.picture.key);
  }
  for (const [id, cls] of [["class", state.cls], ["other", state.other]]) {
    if (document.activeElement !== $(id)) $(id).value = names[cls] ?? "";
  }
  drawMap(values, isTwoSided);
  drawCells(values);
  drawNumbers(now);
  drawShares(values, order);
  drawAnswers(now);
  drawCovered(now);
  writeAddress();
}

/** The map over the picture; cells taken away have none. The scale is that of the whole picture. */
function drawMap(values, isTwoSided) {
  const reach = Math.max(1e-9, ...values.map((value) => (isTwoSided ? Math.abs(value) : value)));
  $("low").textContent = isTwoSided ? words(-reach, 2) : "0";
  $("high").textContent = signed(reach, 2);
  $("ramp").classList.toggle("two-sided", isTwoSided);
  const heat = values.map((value, cell) => {
    if (state.off.has(cell)) return 0;
    return 255 * (isTwoSided ? value : Math.max(value, 0)) / reach;
  });
  const colours = new Uint8ClampedArray(4 * 511);  // Of the heat -255 to 255.
  for (let level = -255; level <= 255; level++) {
    const opacity = 255 * $("opacity").value * (Math.abs(level) / 255) ** 0.7;
    const even = level < 0 ? AGAINST : FOR, from = 3 * Math.max(level, 0);
    const colour = isTwoSided ? even : inferno.slice(from, from + 3);
    colours.set([...colour, opacity], 4 * (level + 255));
  }
  const canvas = $("map"), isSmooth = $("smooth").checked;
  canvas.width = canvas.height = isSmooth ? 16 * SIDE : SIDE;
  canvas.classList.toggle("cells", !isSmooth);
  const image = new ImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer), palette = new Uint32Array(colours.buffer);
  // Between the middles of cells as OpenCV does it for `overlay`.
  const along = Array.from({ length: canvas.width }, (_, pixel) => {
    const at = (pixel + 0.5) * SIDE / canvas.width - 0.5, low = Math.max(Math.floor(at), 0);
    return [low, Math.min(low + 1, SIDE - 1), Math.max(at - low, 0)];
  });
  let to = 0;
  for (const [top, bottom, down] of along) {
    for (const [left, right, aside] of along) {
      const upper = heat[top * SIDE + left] * (1 - aside) + heat[top * SIDE + right] * aside;
      const lower = heat[bottom * SIDE + left] * (1 - aside) + heat[bottom * SIDE + right] * aside;
      pixels[to++] = palette[Math.round(upper * (1 - down) + lower * down) + 255];
    }
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function drawCells(values) {
  buttons.forEach((button, cell) => {
    const place = `Row ${Math.floor(cell / SIDE) + 1}, column ${cell % SIDE + 1}`;
    button.setAttribute("aria-label", `${place}: ${signed(values[cell])}`);
    button.setAttribute("aria-pressed", state.off.has(cell));
    button.textContent = $("figures").checked ? words(values[cell], 2) : "";
    button.tabIndex = cell === (last ?? 0) ? 0 : -1;
  });
  $("undo").disabled = past.length === 0;
  $("reset").disabled = state.off.size === 0;
  $("only").disabled = last === null;
  $("cover").disabled = state.off.size === 0;
  $("crop").disabled = [0, CELLS].includes(state.off.size);
  $("back").hidden = !state.picture.parent;
}

function drawNumbers({ logits, probabilities, order }) {
  const { cls, other, off } = state, gone = whole.logits[cls] - logits[cls];
  $("name").textContent = names[cls];
  $("logit").value = logits[cls].toFixed(3);
  $("probability").value = probabilities[cls].toFixed(3);
  $("place").textContent = order.indexOf(cls) + 1;
  $("sum").textContent = `${count(CELLS - off.size)} ${signed(logits[cls] - bias[cls])},`
    + ` bias ${signed(bias[cls])}${off.size ? `; taken away ${signed(gone)}` : ""}`;
  const { parent, covers, cells } = state.picture;
  $("before").hidden = !parent;
  if (parent) {
    const before = answer(new Set(), parent);
    let text = `Before it was ${covers ? "covered" : "cropped"}: logit`
      + ` ${words(before.logits[cls])}, probability ${words(before.probabilities[cls])}.`;
    if (covers) {
      const less = answer(new Set(cells), parent).logits[cls];
      text += ` If the evidence of ${count(cells.length)} is taken away instead: ${words(less)}.`;
    }
    $("before").textContent = text;
  }
  $("margin").hidden = other === null;
  if (other === null) return;
  const margin = logits[cls] - logits[other], times = Math.exp(Math.abs(margin));
  const [more, less] = margin < 0 ? [other, cls] : [cls, other];
  $("margin").textContent = `Minus ${words(logits[other])} of “${names[other]}”: ${signed(margin)}.`
    + ` “${names[more]}” is e^${words(Math.abs(margin), 2)} = ${times.toFixed(times < 10 ? 2 : 0)}`
    + ` times as probable as “${names[less]}”.`;
}

function drawShares(values, order) {
  const { off, other } = state, kept = CELLS - off.size;
  const low = Math.min(0, ...values), span = Math.max(0, ...values) - low || 1;
  const half = values.reduce((sum, value) => sum + Math.max(value, 0), 0) / 2;
  let sum = 0, few = 0;
  while (sum < half) sum += values[order[few++]];
  bars.forEach((bar, index) => {
    const value = values[order[index]];
    bar.style.setProperty("--from", `${100 * (Math.min(value, 0) - low) / span}%`);
    bar.style.setProperty("--high", `${100 * Math.abs(value) / span}%`);
    bar.classList.toggle("minus", value < 0);
    bar.classList.toggle("gone", off.has(order[index]));
    bar.classList.toggle("half", index === few - 1);
  });
  const what = `${low < 0 ? "positive " : ""}evidence${other === null ? "" : " for the first"}`;
  $("half").textContent = `${count(few)} of 49 hold${few === 1 ? "s" : ""} half of the ${what} (dashed).`;
  $("keep").value = kept;
  $("kept").textContent = `Pull to keep only the strongest cells (now ${count(kept)} kept)`;
}

function drawAnswers({ order, probabilities }) {
  const { parent } = state.picture, earlier = parent ? answer(new Set(), parent) : whole;
  rows.forEach((row, index) => {
    const cls = order[index], [name, bar, number] = row.firstChild.children;
    row.dataset.class = cls;
    row.firstChild.setAttribute("aria-current", cls === state.cls);
    name.textContent = names[cls];
    const before = earlier.order.indexOf(cls);
    if (before !== index) make(name, "small", 1)[0].textContent = ` was ${before + 1}`;
    bar.style.setProperty("--p", probabilities[cls]);
    number.textContent = probabilities[cls].toFixed(3);
  });
}

/** Evidence taken away beside pixels covered, by the brush or in a prepared set of cells. */
function drawCovered(now) {
  const { picture, off, cls } = state;
  const isTaken = ({ cells }) => cells.length === off.size && cells.every((cell) => off.has(cell));
  const chosen = picture.sets.find(isTaken);
  [...$("sets").children].forEach((button, index) => {
    button.setAttribute("aria-pressed", picture.sets[index] === chosen);
  });
  $("compare").hidden = !chosen && !picture.covers;
  if (chosen) {
    const [inside, outside] = chosen.parts.map(halves);
    const covered = ranked(bias.map((start, one) => start + inside[one] + outside[one]));
    compare(chosen.cells, whole, now, covered, inside[cls]);
    showCovered(picture, (pen, ...size) => fillCells(chosen.cells, pen, ...size), chosen.name);
  } else if (picture.covers) {
    const { parent, cells } = picture, part = shares({ picture, cls, other: null });
    const inside = cells.reduce((sum, cell) => sum + part[cell], 0);
    compare(cells, answer(new Set(), parent), answer(new Set(cells), parent), whole, inside);
    showCovered(picture, () => {}, "what you chose");
  }
}

/** The table: the logit of the whole picture, without these cells, and with pixels covered. */
function compare(cells, all, less, covered, inside) {
  const { cls } = state, three = [all, less, covered];
  const first = ({ order: [top], probabilities: p }) => `${names[top]} ${p[top].toFixed(2)}`;
  const rest = less.logits[cls] - bias[cls], outside = covered.logits[cls] - bias[cls] - inside;
  const lines = [
    [`these ${count(cells.length)}`, words(all.logits[cls] - less.logits[cls]), "0", words(inside)],
    [`the other ${count(CELLS - cells.length)}`, words(rest), words(rest), words(outside)],
    ["bias", ...three.map(() => words(bias[cls]))],
    [`logit of “${names[cls]}”`, ...three.map(({ logits }) => words(logits[cls]))],
    ["its probability", ...three.map(({ probabilities }) => words(probabilities[cls]))],
    ["first answer", ...three.map(first)],
  ];
  document.querySelectorAll("#compare tbody tr").forEach((row, index) => {
    lines[index].forEach((text, column) => { row.children[column].textContent = text; });
  });
}

function showCovered({ paint, pixels, size, alt }, cover, name) {
  const canvas = $("covered"), pen = canvas.getContext("2d");
  [canvas.width, canvas.height] = size;
  canvas.setAttribute("aria-label", `${alt} Covered: ${name}.`);
  pen.scale(size[0] / pixels[0], size[1] / pixels[1]);
  paint(pen);
  cover(pen, ...pixels);
}

function fillCells(cells, pen, width, height) {
  const edge = (number, length) => Math.round(number * length / SIDE);
  pen.fillStyle = `rgb(${data.cover})`;
  for (const cell of cells) {
    const column = cell % SIDE, row = Math.floor(cell / SIDE);
    const left = edge(column, width), top = edge(row, height);
    pen.fillRect(left, top, edge(column + 1, width) - left, edge(row + 1, height) - top);
  }
}

// The network in this page: for a picture of one's own, and for what is covered or cropped.

let network = null;  // A promise of the function from pixels to evidence.
let asked = 0;  // Counts pictures asked for: only the last one is shown.
let own = null;
let stream = null;  // Of the webcam.
let isFollowing = false;  // Whether the class shown is each frame's first answer.

const say = (text) => { $("said").textContent = text; };
const showStage = () => $("stage").scrollIntoView({ block: "nearest" });

/** Stands in a worker: gets the network, then pixels, and sends evidence. */
function serve(port) {
  let evidence = null;
  port.onmessage = ({ data: job }) => {
    if (job.layers) {
      const weights = halves(job.weights);
      halves(job.rest).forEach((value, index) => { weights[index] += value; });
      evidence = makeNetwork({ ...job, weights });
    } else port.postMessage({ map: evidence(job.rgb, (done) => port.postMessage({ done })) });
  };
}

function startNetwork() {
  const code = [halves, makeNetwork, `(${serve})(self);`].join("\n");
  let port;
  try {
    port = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  } catch {  // Some browsers allow no worker: the page waits while the network runs.
    const channel = new MessageChannel();
    serve(channel.port1);
    port = channel.port2;
  }
  port.postMessage(NETWORK);
  let turn = Promise.resolve();
  return (rgb) => {
    turn = turn.catch(() => {}).then(() => new Promise((done, fail) => {
      port.onmessage = ({ data: { map, done: part } }) => {
        if (map) done(map);
        else $("progress").value = part;
      };
      port.onerror = ({ message }) => fail(new Error(`The network failed: ${message}`));
      port.postMessage({ rgb });
    }));
    return turn;
  };
}

function loadNetwork() {
  return new Promise((done, fail) => {
    const script = document.createElement("script");
    script.onload = () => done(startNetwork());
    script.onerror = () => {
      network = null;
      fail(new Error("The network is in a second file: network.js must lie beside this page."));
    };
    script.src = "network.js";
    document.head.append(script);
  });
}

/** Let the network see what `paint` draws, and complete the picture by its shares. */
async function see(picture) {
  const [width, height] = picture.pixels, canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const paper = (wide, high) => {
    Object.assign(canvas, { width: wide, height: high });
    pen.fillStyle = "white";  // Behind what is transparent.
    pen.fillRect(0, 0, wide, high);
  };
  const read = (top, rows) => {
    paper(width, rows);
    pen.translate(0, -top);
    picture.paint(pen);
    return pen.getImageData(0, 0, width, rows).data;
  };
  network ??= loadNetwork();
  const run = await network, start = performance.now();
  picture.rgb = await squashed(read, width, height, SEEN);
  picture.shares = (await run(picture.rgb)).map((value) => value / CELLS);
  picture.seconds = (performance.now() - start) / 1000;
  const scale = Math.min(1, SHOWN / Math.max(width, height));
  picture.size = [width, height].map((length) => Math.max(1, Math.round(scale * length)));
  paper(...picture.size);
  pen.imageSmoothingQuality = "high";
  pen.scale(picture.size[0] / width, picture.size[1] / height);
  picture.paint(pen);
  picture.source = canvas.toDataURL("image/jpeg", 0.9);
  return picture;
}

/** Show a picture that takes a moment to make, unless another one is asked for meanwhile. */
async function ask(making, show) {
  const mine = ++asked;
  $("progress").removeAttribute("value");
  $("progress").hidden = stream !== null;
  try {
    const picture = await making();
    if (mine === asked) show(picture);
  } catch (error) {
    stopWebcam();
    if (mine === asked) say(error.message);
  }
  if (mine === asked) $("progress").hidden = true;
}

/** Show a picture that is there. */
function choosePicture(picture) {
  stopWebcam();
  say("");
  asked++;
  $("progress").hidden = true;
  setPicture(picture);
}

function seeBitmap(bitmap, title) {
  const pixels = [bitmap.width, bitmap.height], paint = (pen) => pen.drawImage(bitmap, 0, 0);
  const alt = `Your picture: ${title}.`;
  return see({ key: OWN, title: "Your picture", alt, sets: [], pixels, paint });
}

function setOwn(picture, keepsClasses, off) {
  if (own) {
    Object.assign(picture, { thumb: own.thumb, image: own.image });
    picture.image.src = picture.source;
    data.pictures[0] = picture;
  } else {
    addPicture(picture, true);
    data.pictures.unshift(picture);
  }
  own = picture;
  setPicture(picture, keepsClasses, off);
}

async function openFile(file) {
  stopWebcam();
  say("");
  await ask(async () => {
    let bitmap;
    try { bitmap = await createImageBitmap(file); } catch { throw new Error(await whyNot(file)); }
    const million = bitmap.width * bitmap.height / 1e6;
    if (million > MOST) {
      throw new Error(`“${file.name}” has ${million.toFixed(0)} megapixels. Make it smaller first:`
        + ` at most ${MOST}.`);
    }
    return seeBitmap(bitmap, file.name);
  }, (picture) => {
    setOwn(picture);
    if (wanted) {
      history.replaceState(null, "", wanted);
      readAddress();
      wanted = null;
    }
    const size = picture.pixels.join("×");
    say(`“${file.name}”, ${size} pixels: the network took ${picture.seconds.toFixed(1)} s.`);
    $("thumbs").scrollTo(0, 0);
    showStage();
  });
}

async function whyNot(file) {
  const start = new TextDecoder("latin1").decode(await file.slice(4, 12).arrayBuffer());
  if (/^ftyp(hei|hev|mif|msf)/.test(start)) {
    return `“${file.name}” is HEIC, which only Safari decodes. Save it as JPEG first.`;
  }
  return `“${file.name}” is not a picture that this browser can decode. Try a JPEG or a PNG.`;
}

async function watchWebcam() {
  if (stream) return stopWebcam();
  const video = document.createElement("video");
  Object.assign(video, { muted: true, playsInline: true });
  try {
    const camera = { facingMode: "environment", width: { ideal: 640 } };
    stream = await navigator.mediaDevices.getUserMedia({ video: camera });
    video.srcObject = stream;
    await video.play();
  } catch {
    stopWebcam();
    return say("There is no webcam, or the browser was not allowed to use it. It lets only pages"
      + " from https, or from this computer, ask for one.");
  }
  say("Live: you see the last frame that the network has seen. Press again to keep it.");
  $("webcam").setAttribute("aria-pressed", true);
  $("logit").setAttribute("aria-live", "off");
  isFollowing = true;
  while (stream) {
    const take = async () => seeBitmap(await createImageBitmap(video), "a frame of the webcam");
    await ask(take, (picture) => setOwn(picture, !isFollowing, state.off));
    await new Promise(requestAnimationFrame);
  }
}

function stopWebcam() {
  if (!stream) return;
  for (const track of stream.getTracks()) track.stop();
  stream = null;
  $("webcam").setAttribute("aria-pressed", false);
  $("logit").setAttribute("aria-live", "polite");
  say("");
}

/** A picture made of the one on show: the classes stay, and it is compared with that one. */
function derive(parent, changes) {
  stopWebcam();
  const { key, title, alt } = parent;
  const show = (picture) => {
    setPicture(picture, true);
    showStage();
  };
  ask(() => see({ key, title, alt, sets: [], parent, ...changes }), show);
}

/** Lay something over the pixels: `cover` draws it, width x height. */
function coverPixels(cover) {
  const { picture } = state, base = picture.covers ? picture.parent : picture;
  const covers = [...(picture.covers ?? []), cover], pixels = base.pixels;
  const all = (pen, ...size) => covers.forEach((one) => one(pen, ...size));
  const paint = (pen) => {
    base.paint(pen);
    all(pen, ...pixels);
  };
  derive(base, { covers, pixels, paint, cells: halfCovered(all) });
}

/** The cells of which at least half is covered. */
function halfCovered(cover) {
  const FINE = 8, length = FINE * SIDE, canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [length, length];
  const pen = canvas.getContext("2d");
  cover(pen, length, length);
  const sums = new Float64Array(CELLS);
  pen.getImageData(0, 0, length, length).data.forEach((value, at) => {
    if (at % 4 !== 3) return;  // Only the opacity counts.
    const row = Math.floor(at / 4 / length / FINE), column = Math.floor(at / 4 % length / FINE);
    sums[row * SIDE + column] += value / 255;
  });
  return [...sums.keys()].filter((cell) => sums[cell] >= FINE * FINE / 2);
}

/** Let the network see a part only; its edges are given as parts of width and height. */
function cropTo(left, top, right, bottom) {
  const { picture } = state, [width, height] = picture.pixels;
  const x = Math.round(left * width), y = Math.round(top * height);
  const wide = Math.max(1, Math.round(right * width) - x);
  const high = Math.max(1, Math.round(bottom * height) - y);
  const paint = (pen) => {
    pen.save();
    pen.translate(-x, -y);
    picture.paint(pen);
    pen.restore();
  };
  derive(picture, { pixels: [wide, high], paint });
}

/** Crop to the cells that are left, and to as many more as the proportions ask for. */
function cropToCells() {
  const kept = [...Array(CELLS).keys()].filter((cell) => !state.off.has(cell));
  const ends = [kept.map((cell) => cell % SIDE), kept.map((cell) => Math.floor(cell / SIDE))]
    .map((places) => [Math.min(...places), Math.max(...places) + 1]);
  const longest = Math.max(...ends.map(([from, to]) => to - from));
  const [across, down] = ends.map(([from, to]) => {
    const length = $("proportions").checked ? longest : to - from;
    const start = Math.min(Math.max(Math.floor((from + to - length) / 2), 0), SIDE - length);
    return [start / SIDE, (start + length) / SIDE];
  });
  if ([...across, ...down].join() === "0,1,0,1") {
    $("hint").textContent = "What is left reaches from edge to edge: there is nothing to crop.";
    return;
  }
  cropTo(across[0], down[0], across[1], down[1]);
}

const strokes = $("strokes");
let drag = null;  // With the brush or the frame: from where to where, as parts of the picture.

const tool = () => document.querySelector("[name=tool]:checked").value;
const HINTS = {
  cells: "Point at a cell to read its share of the logit.",
  brush: "Paint over what the network is not to see.",
  frame: "Draw a frame around what the network is to see.",
};

function setTool() {
  drag = null;
  strokes.hidden = tool() === "cells";
  [strokes.width, strokes.height] = state.picture.size;  // This clears it, too.
  point(null);
}

function placeOf({ clientX, clientY }) {
  const { left, top, width, height } = strokes.getBoundingClientRect();
  const within = (part) => Math.min(Math.max(part, 0), 1);
  return [within((clientX - left) / width), within((clientY - top) / height)];
}

/** The frame's edges: left, top, right, bottom. */
function frame({ from: [x, y], to }) {
  let [wide, high] = [to[0] - x, to[1] - y];
  if ($("proportions").checked) {
    const room = [wide < 0 ? x : 1 - x, high < 0 ? y : 1 - y];
    const length = Math.min(Math.max(Math.abs(wide), Math.abs(high)), ...room);
    [wide, high] = [wide < 0 ? -length : length, high < 0 ? -length : length];
  }
  const left = Math.min(x, x + wide), top = Math.min(y, y + high);
  return [left, top, left + Math.abs(wide), top + Math.abs(high)];
}

function drawDrag(before) {
  const { width, height } = strokes, pen = strokes.getContext("2d");
  if (tool() === "brush") {
    Object.assign(pen, { lineCap: "round", lineWidth: BRUSH * Math.max(width, height) });
    pen.strokeStyle = `rgb(${data.cover})`;
    pen.beginPath();
    pen.moveTo(before[0] * width, before[1] * height);
    pen.lineTo(drag.to[0] * width, drag.to[1] * height);
    pen.stroke();
    return;
  }
  const [left, top, right, bottom] = frame(drag);
  const inside = [left * width, top * height, (right - left) * width, (bottom - top) * height];
  Object.assign(pen, { fillStyle: "#000a", strokeStyle: "#fff", lineWidth: 3 });
  pen.clearRect(0, 0, width, height);
  pen.fillRect(0, 0, width, height);
  pen.clearRect(...inside);
  pen.strokeRect(...inside);
}

strokes.addEventListener("pointerdown", (event) => {
  strokes.setPointerCapture(event.pointerId);
  drag = { from: placeOf(event), to: placeOf(event) };
  drawDrag(drag.from);
});
strokes.addEventListener("pointermove", (event) => {
  if (!drag) return;
  const before = drag.to;
  drag.to = placeOf(event);
  drawDrag(before);
});
strokes.addEventListener("pointercancel", setTool);
strokes.addEventListener("pointerup", () => {
  if (!drag) return;
  const [left, top, right, bottom] = frame(drag), isFrame = tool() === "frame";
  const painted = document.createElement("canvas");
  [painted.width, painted.height] = [strokes.width, strokes.height];
  painted.getContext("2d").drawImage(strokes, 0, 0);
  if (!isFrame) {
    drag = null;
    return coverPixels((pen, ...size) => pen.drawImage(painted, 0, 0, ...size));
  }
  setTool();
  if (Math.min(right - left, bottom - top) >= SMALLEST) cropTo(left, top, right, bottom);
  else $("hint").textContent = "That frame is too small. Draw from one corner to the opposite one.";
});

/** Whether the network in this page gives the notebooks' answer, for a picture that lies in it. */
async function selfTest() {
  const { key, logit, first } = data.test, { title, alt, pixels, paint } = byKey(key);
  const copy = await see({ key, title, alt, sets: [], pixels, paint });
  setPicture(copy);
  const difference = Math.abs(whole.logits[first[0]] - logit);
  const isPassed = difference < 0.15 && first.every((cls, place) => whole.order[place] === cls);
  $("said").dataset.test = isPassed ? "passed" : "failed";
  const top = whole.order[0];
  say(`Self-test ${isPassed ? "passed" : "FAILED"}: ${words(whole.logits[top])} for “${names[top]}”`
    + ` here, ${words(logit)} for “${names[first[0]]}” in the notebooks;`
    + ` the network took ${copy.seconds.toFixed(1)} s.`);
}

let stroke = null;  // Of the pointer: where it began, whether it takes away, whether it moved on.

/** Show a cell's share, and its bar among the others. */
function point(cell) {
  const index = cell === null ? -1 : strongest(shares()).indexOf(cell);
  bars.forEach((bar, one) => bar.classList.toggle("near", one === index));
  const text = buttons[cell]?.getAttribute("aria-label");
  $("hint").textContent = text ?? HINTS[tool()];
}

$("cells").addEventListener("click", ({ target, detail }) => {
  const cell = Number(target.dataset.cell), isOfPointer = detail > 0;
  if (isOfPointer && stroke?.isDragged) return;  // It only ends a drag.
  if (cell >= 0) toggle(cell, !state.off.has(cell), true);
});
$("cells").addEventListener("pointerdown", ({ target }) => {
  const cell = Number(target.dataset.cell);
  stroke = { cell, isOff: !state.off.has(cell), isDragged: false };
});
$("cells").addEventListener("pointermove", (event) => {
  const cell = Number(document.elementFromPoint(event.clientX, event.clientY)?.dataset.cell);
  if (!(cell >= 0)) return;
  point(cell);
  if (!event.buttons || !stroke || (cell === stroke.cell && !stroke.isDragged)) return;
  if (!stroke.isDragged) toggle(stroke.cell, stroke.isOff, true);
  stroke.isDragged = true;
  if (state.off.has(cell) !== stroke.isOff) toggle(cell, stroke.isOff, false);
});
for (const end of ["pointerleave", "focusout"]) $("cells").addEventListener(end, () => point(null));
$("cells").addEventListener("focusin", ({ target }) => point(Number(target.dataset.cell)));
$("cells").addEventListener("keydown", (event) => {
  const cell = Number(event.target.dataset.cell), column = cell % SIDE;
  const to = {
    ArrowLeft: cell - (column > 0), ArrowRight: cell + (column < SIDE - 1),
    ArrowUp: cell - SIDE, ArrowDown: cell + SIDE,
  }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  if (to < 0 || to >= CELLS) return;
  last = to;
  draw();
  buttons[to].focus();
});

/** A box in which one types a class or picks it from a list: the first answers, or what matches. */
function combobox(input, list, isEmptyFine, choose) {
  let active = -1;
  const mark = (index) => {
    active = Math.min(index, list.children.length - 1);
    [...list.children].forEach((li, one) => li.setAttribute("aria-selected", one === active));
    input.setAttribute("aria-expanded", !list.hidden);
    input.setAttribute("aria-activedescendant", list.children[active]?.id ?? "");
  };
  const show = (found, index = -1) => {
    const { probabilities } = answer(state.off);
    list.replaceChildren();
    make(list, "li", found.length).forEach((li, place) => {
      Object.assign(li, { id: `${list.id}-${place}`, role: "option" });
      li.dataset.choice = found[place];
      li.textContent = `${names[found[place]]} ${probabilities[found[place]].toFixed(3)}`;
    });
    list.hidden = found.length === 0;
    mark(index);
  };
  const close = () => show([]);
  const open = (text) => {
    const isLike = (cls) => plain(names[cls]).includes(plain(text));
    show(answer(state.off).order.filter(isLike).slice(0, ANSWERS), text ? 0 : -1);
  };
  const accept = () => {
    const item = list.children[active], cls = item ? +item.dataset.choice : find(input.value);
    close();
    if (cls === null && !(isEmptyFine && input.value.trim() === "")) {
      $("unknown").textContent = `“${input.value}” is none of the 1000 classes.`;
      return;
    }
    choose(cls);
    input.value = names[cls] ?? "";
  };
  input.addEventListener("click", () => { input.select(); open(""); });
  input.addEventListener("input", () => {
    open(input.value);
    const cls = find(input.value), isEmptied = isEmptyFine && input.value.trim() === "";
    if (cls !== null) close();  // The text names a class: nothing is left to pick.
    if (cls !== null || isEmptied) choose(cls);
  });
  input.addEventListener("change", accept);
  input.addEventListener("blur", () => { close(); draw(); });
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Enter") accept();
    if (event.key === "Escape") close();
    if (!step) return;
    event.preventDefault();
    if (list.hidden) open("");
    mark(Math.max(active + step, 0));
  });
  list.addEventListener("pointerdown", (event) => {
    event.preventDefault();  // The box keeps the focus.
    mark([...list.children].indexOf(event.target));
    accept();
  });
}

combobox($("class"), $("class-list"), false, (cls) => setClasses(cls, state.other));
combobox($("other"), $("other-list"), true, (cls) => setClasses(state.cls, cls));
const on = (id, event, act) => $(id).addEventListener(event, act);
on("picture", "change", ({ target }) => choosePicture(byKey(target.value)));
on("undo", "click", () => takeAway(past.pop(), false));
on("reset", "click", () => takeAway([]));
on("only", "click", () => takeAway([...buttons.keys()].filter((cell) => cell !== last)));
on("swap", "click", () => takeAway([...buttons.keys()].filter((cell) => !state.off.has(cell))));
let isSliding = false;  // A pull at the slider is one step for undo.
on("keep", "input", ({ target }) => {
  takeAway(strongest(shares()).slice(target.value), !isSliding);
  isSliding = true;
});
on("keep", "change", () => { isSliding = false; });
on("views", "input", ({ target }) => {
  if (target.name === "sign") isSigned = $("signed").checked;
  draw();
});
on("tools", "input", setTool);
on("webcam", "click", watchWebcam);
on("cover", "click", () => {
  const cells = [...state.off];
  coverPixels((pen, ...size) => fillCells(cells, pen, ...size));
});
on("crop", "click", cropToCells);
on("back", "click", () => {
  let { picture } = state;
  while (picture.parent) picture = picture.parent;
  asked++;
  setPicture(picture, true);
});
for (const input of document.querySelectorAll("[type=file]")) {
  input.addEventListener("change", () => {
    if (input.files.length > 0) openFile(input.files[0]);
  });
}
addEventListener("paste", ({ clipboardData: { files } }) => {
  if (files.length > 0) openFile(files[0]);
});
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
for (const end of ["dragleave", "drop"]) {
  addEventListener(end, () => document.body.classList.remove("dropping"));
}
addEventListener("drop", (event) => {
  event.preventDefault();
  const [file] = event.dataTransfer.files;
  if (file) openFile(file);
  else say("What was dropped is not a file: save the picture first, then drop it here.");
});
addEventListener("keydown", (event) => {
  const isUndo = event.key === "z" && (event.ctrlKey || event.metaKey);
  if (isUndo && event.target.role !== "combobox") $("undo").click();
});
for (const a of document.querySelectorAll("[data-moment]")) a.href = `#${a.dataset.moment}`;
addEventListener("hashchange", () => {
  readAddress();
  showStage();
});
addEventListener("load", () => {  // All pictures can be drawn now.
  draw();
  if (isTest) selfTest().catch((error) => say(`Self-test FAILED: ${error.message}`));
});
const isTest = location.hash === "#test";
readAddress();
