// The service worker of an exported page: answers from the network, and where there is none with what
// `keep` of kept.js put aside. It touches no other file of the same host.

const KEPT = "tfcyclegan-demo"; // as in kept.js

self.addEventListener("fetch", (event) => {
  if (event.request.method === "GET") event.respondWith(answer(event.request));
});

async function answer(request) {
  const kept = await caches.open(KEPT);
  const before = await kept.match(request, { ignoreSearch: true });
  try {
    const response = await fetch(request);
    if (before && response.ok) await kept.put(request.url.split("?")[0], response.clone());
    return response;
  } catch (error) {
    if (before) return before;
    throw error;
  }
}
