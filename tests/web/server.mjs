// A local HTTP server for tests in a browser.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

/** The browser of the tests. */
export const BROWSER = { executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] };

const TYPES = { ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".html": "text/html" };

/**
 * Serve folders, each under its name, to pages of any origin, as CDNs do. The address "/" is an empty page.
 *
 * @param {Record<string, string>} folders
 * @returns {Promise<{ origin: string, close: () => void }>}
 */
export async function serve(folders) {
  const server = createServer(async (request, response) => {
    const [, name, ...path] = decodeURI(request.url).split("/");
    const headers = { "access-control-allow-origin": "*" };
    try {
      const file = join(folders[name], normalize(path.join("/")));
      const body = await readFile(file);
      response.writeHead(200, { ...headers, "content-type": TYPES[extname(file)] ?? "application/octet-stream" }).end(body);
    } catch {
      response.writeHead(name === "" ? 200 : 404, { ...headers, "content-type": "text/html" });
      response.end("<!doctype html><title>Test</title>");
    }
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  return { origin: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}
