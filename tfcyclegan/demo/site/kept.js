// Puts aside what the page has used, so that offline.js can answer without a network.

const KEPT = "tfcyclegan-demo"; // as in offline.js

// files: addresses, relative to the page.
export async function keep(files) {
  const own = new URL(".", location.href).href;
  const kept = await caches.open(KEPT);
  const urls = files.map((file) => new URL(file, own).href.split(/[?#]/)[0]);
  const wanted = new Set(urls.filter((url) => url.startsWith(own)));
  const there = new Set((await kept.keys()).map((request) => request.url));
  await kept.addAll([...wanted].filter((url) => !there.has(url)));
  for (const url of there) {
    if (url.startsWith(own) && !wanted.has(url)) await kept.delete(url); // of an earlier export, or another backend's
  }
  await navigator.serviceWorker.register("offline.js");
  await navigator.serviceWorker.ready;
}

// The addresses of what the page has loaded.
export const loaded = () => performance.getEntriesByType("resource").map((entry) => entry.name);
