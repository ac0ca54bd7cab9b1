// Pictures as the model takes them.

// A file -> ImageBitmap, upright. Throws an Error that says what is wrong with the file.
export async function decode(file) {
  const name = file.name || "this";
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  } catch {
    const kind = file.type.startsWith("image/") ? "is damaged or of a kind that this browser does not read" : "is not a picture";
    throw new Error(`${name} ${kind}; try a JPEG, PNG or WebP file`);
  }
}

// Draws the middle of `source` (picture or video), with its aspect kept, over the whole of `canvas`; what is transparent turns white.
export function fill(canvas, source) {
  const width = source.videoWidth ?? source.width;
  const height = source.videoHeight ?? source.height;
  const scale = Math.max(canvas.width / width, canvas.height / height);
  const [w, h] = [canvas.width / scale, canvas.height / scale];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(source, (width - w) / 2, (height - h) / 2, w, h, 0, 0, canvas.width, canvas.height);
}

export function pixelsOf(canvas) {
  return canvas.getContext("2d", { willReadFrequently: true }).getImageData(0, 0, canvas.width, canvas.height).data;
}

export function put(canvas, pixels) {
  canvas.getContext("2d").putImageData(new ImageData(pixels, canvas.width, canvas.height), 0, 0);
}
