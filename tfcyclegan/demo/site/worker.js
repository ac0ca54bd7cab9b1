// Runs models with LiteRT.js beside the page, which stays alive meanwhile. One backend a worker:
//   webgpu   on the graphics card
//   threads  WebAssembly on several cores; only on a page that its server isolates (COOP and COEP headers)
//   wasm     WebAssembly on one core
// A classic worker, since LiteRT.js loads its WebAssembly by importScripts.

const LITERT = new URL("litert/", self.location.href).href;
const MOST_THREADS = 8;

let litert;
let backend;
let compiled;

async function start(wanted) {
  backend = wanted;
  litert = await import(`${LITERT}index.js`);
  // In a worker LiteRT.js would look for its files beside this one.
  self.Module = { locateFile: (name) => LITERT + name, mainScriptUrlOrBlob: `${LITERT}litert_wasm_threaded_internal.js` };
  await litert.loadLiteRt(LITERT, { threads: wanted === "threads", jspi: wanted === "webgpu" && "Suspending" in WebAssembly });
  if (wanted === "webgpu" && !litert.getWebGpuDevice()) throw new Error("no graphics card to be had");
}

async function compile(bytes) {
  compiled?.delete();
  compiled = undefined;
  compiled = await litert.loadAndCompile(bytes, {
    accelerator: backend === "webgpu" ? "webgpu" : "wasm",
    cpuOptions: { numThreads: backend === "threads" ? threads() : 1 },
    gpuOptions: { precision: "fp32" },
  });
}

const threads = () => Math.min(navigator.hardwareConcurrency || 1, MOST_THREADS);

// RGBA bytes of the model's input size, and a latent if it takes one -> RGBA bytes of its output size.
async function translate(pixels, latent) {
  const [output] = compiled.getOutputDetails();
  const tensors = compiled.getInputDetails().map(({ shape }) => {
    const floats = shape.length === 4 ? toFloats(pixels, shape[3]) : new Float32Array(latent);
    return new litert.Tensor(floats, Array.from(shape));
  });
  let results = [];
  try {
    results = await compiled.run(tensors);
    return toPixels(await results[0].data(), output.shape[3]);
  } finally {
    for (const used of [...tensors, ...results]) used.delete(); // LiteRT.js leaves this to its caller
  }
}

function toFloats(pixels, channels) {
  const floats = new Float32Array((pixels.length / 4) * channels);
  for (let from = 0, to = 0; from < pixels.length; from += 4) {
    const [red, green, blue] = [pixels[from], pixels[from + 1], pixels[from + 2]];
    if (channels === 1) {
      floats[to++] = ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16) / 127.5 - 1; // Pillow's gray
    } else {
      floats[to++] = red / 127.5 - 1;
      floats[to++] = green / 127.5 - 1;
      floats[to++] = blue / 127.5 - 1;
    }
  }
  return floats;
}

function toPixels(floats, channels) {
  const pixels = new Uint8ClampedArray((floats.length / channels) * 4).fill(255);
  for (let from = 0, to = 0; from < floats.length; from += channels, to += 4) {
    for (let channel = 0; channel < 3; channel++) {
      const value = floats[from + (channels === 1 ? 0 : channel)];
      if (!Number.isFinite(value)) throw new Error("the model gives values that are no numbers; export an earlier checkpoint");
      pixels[to + channel] = (value + 1) * 127.5; // rounded to the nearest and clipped by the array
    }
  }
  return pixels;
}

const ACTIONS = {
  start: async ({ backend: wanted }) => {
    await start(wanted);
    return { threads: wanted === "threads" ? threads() : 1 };
  },
  compile: async ({ bytes }) => {
    await compile(bytes);
    return {};
  },
  loaded: async () => ({ files: performance.getEntriesByType("resource").map((entry) => entry.name) }),
  translate: async ({ pixels, latent }) => {
    const began = performance.now();
    return { pixels: await translate(pixels, latent), milliseconds: performance.now() - began };
  },
};

let last = Promise.resolve();
self.onmessage = ({ data: { id, action, ...values } }) => {
  last = last.then(async () => {
    try {
      const result = await ACTIONS[action](values);
      self.postMessage({ id, result }, result.pixels ? [result.pixels.buffer] : []);
    } catch (error) {
      self.postMessage({ id, error: String(error?.message ?? error) });
    }
  });
};
