// The page: a picture goes through `fill` onto the input canvas, through the engine, and onto the output canvas.

import { Engine, fetched } from "./engine.js";
import { keep, loaded } from "./kept.js";
import { Pace } from "./pace.js";
import { decode, fill, pixelsOf, put } from "./pictures.js";

const PAGE = ["./", "demo.json", "worker.js", "app.webmanifest", "icon.svg"]; // what the browser asks for by itself
const $ = (id) => document.getElementById(id);
const engine = new Engine(new URLSearchParams(location.search).get("backends")?.split(","));

let models = [];
let model; // the one of `models` that is loaded
let picture = null; // what is shown: { source: ImageBitmap, name, sample: whether it is one of the model's }
let film = null; // what moves, a camera's pictures or a video's: { name, end: gives back what it holds }
let stillOf = ""; // what the output was made of, for the name of its download
let turn = 0; // counts what was asked for; an answer to an older question is dropped

function say(words, { bad = false } = {}) {
  $("message").textContent = words;
  $("message").className = bad ? "told bad" : "told";
}

function showProgress(share, words) {
  say(`${words}…`);
  $("progress").hidden = false;
  if (share === null) $("progress").removeAttribute("value");
  else $("progress").value = share;
}

// Runs `work`; its error becomes the message.
async function guarded(work) {
  try {
    await work();
  } catch (error) {
    say(error.message, { bad: true });
  } finally {
    $("progress").hidden = true;
  }
}

function enable(ready) {
  $("choose").disabled = !ready;
  $("camera").disabled = !ready;
  $("download").disabled = !ready || !picture;
  for (const button of $("samples").children) button.disabled = !ready;
}

// ---- translating

async function translated(source) {
  const input = document.createElement("canvas");
  [input.width, input.height] = [model.width, model.height];
  fill(input, source);
  return { input, ...(await engine.run(pixelsOf(input), latentAt(Number($("answer").value)))) };
}

// Changes the visible pair, both at once.
function draw({ input, pixels }, name) {
  fill($("input"), input);
  put($("output"), pixels);
  stillOf = name;
  $("stage").classList.remove("empty");
}

// The latent at a place of the slider: zeros at 0, the model's own at 1, 2, ..., and between two of them a mixture
// that is as long as drawn ones are.
function latentAt(place) {
  const all = [model.latents[0]?.map(() => 0), ...model.latents];
  const [before, after] = [all[Math.floor(place)], all[Math.ceil(place)]];
  const angle = ((place % 1) * Math.PI) / 2;
  return before?.map((value, index) => Math.cos(angle) * value + Math.sin(angle) * after[index]);
}

function tellAnswer() {
  const place = Number($("answer").value);
  $("answer_told").textContent = place ? `answer ${place}` : "the mean answer";
}

function tell(milliseconds, rate) {
  const time = milliseconds < 100 ? milliseconds.toFixed(1) : milliseconds.toFixed(0);
  $("facts").textContent = `${time} ms a ${rate ? `frame, ${rate.toFixed(1)} a second` : "picture"} · ${engine.description} · ${model.width}×${model.height}`;
  $("facts").dataset.milliseconds = milliseconds;
}

async function show(next) {
  if (!model || (next.sample && !model.samples.includes(next.sample))) { // the direction was switched meanwhile
    if (!next.sample) picture = next; // which `choose` will show
    return;
  }
  stopFilm();
  const asked = ++turn;
  say("");
  const patience = setTimeout(() => asked === turn && say("Translating…"), 300);
  const done = await translated(next.source).finally(() => clearTimeout(patience));
  if (asked !== turn) return;
  draw(done, next.name);
  picture = next;
  say("");
  tell(done.milliseconds);
  markSample();
  enable(true);
}

const stem = (name) => name.replace(/\.[^.]*$/, "");

async function showFile(file) {
  if (file.type.startsWith("video/")) await showVideo(file);
  else await show({ source: await decode(file), name: stem(file.name) });
}

function take(file) {
  if (file && model) guarded(() => showFile(file)); // while a model loads, the buttons are off too
}

async function showSample(url) {
  const file = await (await fetched(url)).blob();
  await show({ source: await decode(file), name: `sample-${stem(url.split("/").pop())}`, sample: url });
}

// ---- direction

async function choose(next) {
  stopFilm();
  const asked = ++turn;
  enable(false);
  model = null;
  $("facts").textContent = "";
  await engine.load(next, showProgress);
  if (asked !== turn) return;
  model = next;
  document.title = `${next.title} · tfcyclegan`;
  const origin = next.samples_from && `Samples: ${next.samples_from}. `;
  $("about").textContent = `${origin}The model sees the middle of a picture, cropped to its shape and resized to ${next.width}×${next.height}.`;
  $("stage").style.setProperty("--aspect", next.width / next.height);
  for (const [canvas, size] of [[$("input"), next], [$("output"), next.output]]) {
    [canvas.width, canvas.height] = [size.width, size.height]; // clears it
  }
  $("stage").classList.add("empty");
  $("answers").hidden = !next.latents.length;
  $("answer").max = next.latents.length;
  $("answer").value = 0;
  tellAnswer();
  $("samples").replaceChildren(...next.samples.map(sampleButton));
  $("progress").hidden = true;
  enable(true);
  if (picture && !picture.sample) await show(picture);
  else if (next.samples.length) await showSample(next.samples[0]);
  else say("Choose a picture or video, or drop one here.");
}

function sampleButton(url, index) {
  const [button, image] = [document.createElement("button"), document.createElement("img")];
  [image.src, image.alt] = [url, `Sample ${index + 1}`];
  button.append(image);
  button.dataset.url = url;
  button.onclick = () => guarded(() => showSample(url));
  return button;
}

function markSample() {
  for (const button of $("samples").children) button.setAttribute("aria-pressed", button.dataset.url === picture?.sample);
}

function offerDirections() {
  if (models.length === 1) {
    $("directions").textContent = models[0].title;
    return;
  }
  $("directions").className = "choice";
  $("directions").replaceChildren(
    ...models.map((each, index) => {
      const [label, radio, words] = ["label", "input", "span"].map((name) => document.createElement(name));
      Object.assign(radio, { type: "radio", name: "direction", checked: index === 0 });
      radio.onchange = () => guarded(() => choose(each));
      words.textContent = each.title;
      label.append(radio, words);
      return label;
    }),
  );
}

// ---- camera and videos

async function showCamera() {
  if (!navigator.mediaDevices?.getUserMedia) throw new Error("The camera needs a page from https or from this machine");
  const asked = ++turn;
  let stream;
  $("camera").disabled = true;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    const reasons = { NotAllowedError: "it was not allowed", NotFoundError: "there is none", NotReadableError: "another program uses it" };
    throw new Error(`The camera cannot be used: ${reasons[error.name] ?? error.message}`);
  } finally {
    $("camera").disabled = !model;
  }
  const end = () => stream.getTracks().forEach((track) => track.stop());
  if (asked !== turn) return end(); // another picture was chosen meanwhile
  $("video").srcObject = stream;
  await showFilm({ name: "camera", end }, asked);
}

async function showVideo(file) {
  stopFilm();
  const asked = ++turn;
  const url = URL.createObjectURL(file);
  $("video").src = url;
  await showFilm({ name: stem(file.name), end: () => URL.revokeObjectURL(url) }, asked);
}

async function showFilm(next, asked) {
  film = next;
  $("camera").textContent = "Stop";
  try {
    await $("video").play().catch((error) => {
      if (asked === turn) throw new Error(`${next.name} cannot be played by this browser (${error.message}); try an MP4 or WebM file`);
    });
    say("");
    picture = null;
    markSample();
    await showFrames(asked);
  } finally {
    if (asked === turn) stopFilm();
  }
}

async function showFrames(asked) {
  const pace = new Pace();
  while (asked === turn) {
    if (document.hidden) await new Promise(requestAnimationFrame); // waits until it is seen
    const began = performance.now();
    const done = await translated($("video"));
    const now = performance.now();
    await new Promise((go) => setTimeout(go, pace.wait(now, now - began)));
    if (asked !== turn) return;
    draw(done, film.name);
    tell(done.milliseconds, 1000 / pace.interval);
    $("download").disabled = false;
  }
}

function stopFilm() {
  if (!film) return;
  film.end();
  film = null;
  turn++;
  $("video").removeAttribute("src");
  $("video").srcObject = null;
  $("video").load(); // lets go of what it held
  $("camera").textContent = "Camera";
}

// ---- without a network

async function keepOffline(files) {
  try {
    await keep(files);
    $("offline").textContent = " · Works offline";
  } catch (error) {
    $("offline").textContent = ` · Works online only: ${error.message}`;
  }
}

// ---- the page's controls

$("choose").onclick = () => $("file").click();
$("file").onchange = () => {
  const [file] = $("file").files;
  $("file").value = ""; // so that the same file can be chosen again
  take(file);
};
$("camera").onclick = () => (film ? stopFilm() : guarded(showCamera));
$("download").onclick = () => {
  $("output").toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${stillOf}-${model.slug}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
};
$("view").onchange = (event) => ($("stage").dataset.view = event.target.value);
$("answer").oninput = () => {
  tellAnswer();
  if (picture && model) guarded(() => show(picture)); // the camera takes it with its next picture
};
$("split").oninput = () => $("stage").style.setProperty("--split", `${$("split").value}%`);

addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("dropping"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  const [file] = event.dataTransfer.files;
  take(file);
});

guarded(async () => {
  if (!self.WebAssembly || !self.Worker || !self.createImageBitmap) {
    throw new Error("This browser cannot run the model: it lacks WebAssembly, or it is switched off. A current Chrome, Edge, Firefox or Safari can.");
  }
  say("Loading…");
  const demo = await (await fetched("demo.json")).json();
  models = demo.models;
  offerDirections();
  await choose(models[0]);
  if (demo.offline) {
    const all = models.flatMap((each) => [each.file, ...each.samples]);
    await keepOffline([...PAGE, ...all, ...loaded(), ...(await engine.loaded())]);
  }
});
