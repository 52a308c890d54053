// What stays when the page is closed: a run in the browser's storage, and files that the person saves.

// Pages that are files share a storage, in which other programs may have their own.
const [DATABASE, STORE, KEY] = ["textgen-learn", "runs", "latest"];

/** Do something with the storage. Fails if the browser permits none. */
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
      const request = action(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

/** Keep a run in place of the one before. */
export const keepRun = (run) => withStore("readwrite", (store) => store.put(run, KEY));

/** Return the run that was kept, or undefined. */
export const keptRun = () => withStore("readonly", (store) => store.get(KEY));

export const forgetRun = () => withStore("readwrite", (store) => store.delete(KEY));

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

/** Return a page like this one, with another model and title. */
export async function pageWith(model, title) {
  const page = new DOMParser().parseFromString(`<!doctype html>\n${opened}`, "text/html");
  const packed = new Blob([model]).stream().pipeThrough(new CompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(packed).arrayBuffer());
  let binary = "";
  for (let i = 0; i < bytes.length; i += 4096) binary += String.fromCharCode(...bytes.subarray(i, i + 4096));
  page.getElementById("model").textContent = btoa(binary);
  // These are the records of another corpus.
  page.getElementById("known")?.remove();
  page.title = page.querySelector("h1").textContent = title;
  page.getElementById("prompt").textContent = "";
  return `<!doctype html>\n${page.documentElement.outerHTML}\n`;
}
