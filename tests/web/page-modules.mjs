// The modules of the page, for tests without a browser.

import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";

/** Import modules of the page, whose folder does not say that they are ES modules. Return all that they export. */
export async function pageModules(...names) {
  const folder = mkdtempSync(`${tmpdir()}/textgen-`);
  try {
    cpSync("runtime/textgen_runtime/web/page", folder, { recursive: true });
    writeFileSync(`${folder}/package.json`, '{ "type": "module" }');
    return Object.assign({}, ...(await Promise.all(names.map((name) => import(`${folder}/${name}`)))));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
