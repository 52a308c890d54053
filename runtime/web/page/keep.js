// What stays when the page is closed: a run in the browser's storage, and files that the person saves.

// Pages that are files share a storage, in which other programs may have their own.
const [DATABASE, STORE, RUN, TEXT, OWNER] = ["textgen-learn", "runs", "latest", "text", "text-of"];

/** Make requests to the storage, and return their results. Fails if the browser permits none. */
async function withStore(mode, action) {
  const database = await new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const requests = action(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(requests.map(({ result }) => result));
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

/** Keep a run as it is now, in place of the run before. Its text, which may be long, and its options are written once. */
export const keepRun = ({ text, options, ...run }) =>
  withStore("readwrite", (store) => {
    store.put(run, RUN);
    store.get(OWNER).onsuccess = ({ target }) => {
      if (target.result === run.id) return;
      store.put({ text, options }, TEXT);
      store.put(run.id, OWNER);
    };
    return [];
  });

/** Return the run that was kept, or undefined. */
export async function keptRun() {
  const [run, text] = await withStore("readonly", (store) => [store.get(RUN), store.get(TEXT)]);
  return run && { ...run, ...text };
}

export const forgetRun = () => withStore("readwrite", (store) => [store.clear()]);

/** Let the browser save a file. */
export function saveFile(name, content, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  // The browser has not read the file yet.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** This page as it was opened. */
let opened;

/** Remember what the page is, before anything changes it. */
export function rememberPage() {
  opened = document.documentElement.outerHTML;
}

/** Encode bytes as base64. A call takes only so many arguments. */
function encodeBase64(bytes) {
  let binary = "";
  for (let i = 0; i < bytes.length; i += 4096) binary += String.fromCharCode(...bytes.subarray(i, i + 4096));
  return btoa(binary);
}

/** Return a page like this one with a model. */
export async function pageWith({ content, name, known, isOwn }) {
  const page = new DOMParser().parseFromString(`<!doctype html>\n${opened}`, "text/html");
  const packed = new Blob([content]).stream().pipeThrough(new CompressionStream("deflate"));
  const place = page.getElementById("model");
  place.textContent = encodeBase64(new Uint8Array(await new Response(packed).arrayBuffer()));
  page.title = page.querySelector("h1").textContent = name;
  page.getElementById("known")?.remove();
  if (known) {
    const { bits, count, hashes } = known;
    const script = Object.assign(page.createElement("script"), { type: "text/plain", id: "known", textContent: encodeBase64(bits) });
    Object.assign(script.dataset, { count, hashes });
    place.after(script);
  }
  if (!isOwn) page.getElementById("prompt").textContent = "";
  return `<!doctype html>\n${page.documentElement.outerHTML}\n`;
}
