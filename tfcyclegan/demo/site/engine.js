// The page's side of worker.js: takes the first backend that runs the model, and fetches models with progress.

const NAMES = { webgpu: "WebGPU", threads: "WebAssembly", wasm: "WebAssembly" };

export class Engine {
  #backends;
  #worker;
  #waiting = new Map();
  #count = 0;
  #fetched = new Map();
  #loading = Promise.resolve();

  // backends: names in the order of preference; default all that this page can have.
  constructor(backends) {
    this.#backends = backends;
  }

  // Makes `model` (of demo.json) the one that runs. told(share or null, words): how far it is.
  load(model, told) {
    this.#loading = this.#loading.catch(() => {}).then(() => this.#load(model, told)); // one after the other
    return this.#loading;
  }

  // RGBA bytes of the model's size, and the latent of a model that takes one -> { pixels, milliseconds }.
  run(pixels, latent) {
    return this.#ask("translate", { pixels, latent });
  }

  // The addresses of what LiteRT.js was loaded from.
  async loaded() {
    return (await this.#ask("loaded")).files;
  }

  async #load(model, told) {
    const bytes = await this.#bytes(model, told);
    this.#backends ??= await possibleBackends();
    let cause;
    for (const [index, backend] of this.#backends.entries()) {
      try {
        if (!this.#worker) {
          told(null, "Starting LiteRT.js");
          await this.#start(backend);
        }
        told(null, "Preparing the model");
        await this.#ask("compile", { bytes });
        // A run on gray shows whether the backend can do what the model needs.
        await this.run(new Uint8ClampedArray(model.height * model.width * 4).fill(128), model.latents[0]);
        this.#backends = this.#backends.slice(index);
        return;
      } catch (error) {
        cause = error;
        this.#drop(error);
      }
    }
    throw new Error(`${model.file} cannot be run in this browser: ${cause.message}`);
  }

  async #start(backend) {
    this.#worker = new Worker("worker.js");
    this.#worker.onmessage = ({ data: { id, result, error } }) => {
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) resolve(result);
      else reject(new Error(error));
    };
    this.#worker.onerror = (event) => this.#drop(new Error(event.message || "its worker cannot be loaded"));
    const { threads } = await this.#ask("start", { backend });
    this.description = NAMES[backend] + (threads > 1 ? `, ${threads} threads` : "");
  }

  #drop(error) {
    this.#worker?.terminate();
    this.#worker = undefined;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }

  #ask(action, values) {
    if (!this.#worker) return Promise.reject(new Error("no model is loaded"));
    const id = this.#count++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, action, ...values });
    });
  }

  async #bytes(model, told) {
    if (this.#fetched.has(model.file)) return this.#fetched.get(model.file);
    const response = await fetched(model.file);
    const parts = [];
    let length = 0;
    try {
      const reader = response.body.getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        parts.push(part.value);
        length += part.value.length;
        told(Math.min(1, length / model.bytes), "Loading the model");
      }
    } catch {
      length = 0; // the connection broke off
    }
    if (length !== model.bytes) throw new Error(`${model.file} did not arrive whole; reload the page`);
    const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
    this.#fetched.set(model.file, bytes);
    return bytes;
  }
}

// fetch, with an error that says what was asked for.
export async function fetched(file) {
  let response;
  try {
    response = await fetch(file);
  } catch {
    throw new Error(`${file} cannot be loaded; is the server still running?`);
  }
  if (!response.ok) throw new Error(`${file} cannot be loaded (HTTP ${response.status})`);
  return response;
}

async function possibleBackends() {
  const possible = [];
  const adapter = await navigator.gpu?.requestAdapter();
  if (adapter && !adapter.info?.isFallbackAdapter) possible.push("webgpu"); // one drawn in software is slower than WebAssembly
  if (self.crossOriginIsolated) possible.push("threads");
  return [...possible, "wasm"];
}
