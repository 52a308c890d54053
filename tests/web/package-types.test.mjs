// The types of the package, as programs in TypeScript find them by its name.

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { resolve } from "node:path";
import { after, test } from "node:test";

const folder = mkdtempSync(`${tmpdir()}/textgen-types-`);
mkdirSync(`${folder}/node_modules`);
symlinkSync(resolve("runtime/web"), `${folder}/node_modules/textgen-onnx`);
writeFileSync(`${folder}/package.json`, '{ "type": "module" }');
cpSync("tests/web/package-types.ts", `${folder}/program.ts`);
after(() => rmSync(folder, { recursive: true }));

const STRICT = ["--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess", "--noPropertyAccessFromIndexSignature"];
const LIBRARIES = ["--noEmit", "--target", "es2022", "--lib", "es2022,dom,dom.iterable"];

for (const [module, resolution] of [["node16", "node16"], ["preserve", "bundler"]]) {
  test(`with the module resolution ${resolution}, each entry point has its types, and a program with them compiles`, () => {
    const words = ["program.ts", ...STRICT, ...LIBRARIES, "--module", module, "--moduleResolution", resolution];
    execFileSync(resolve("tests/web/node_modules/.bin/tsc"), words, { cwd: folder, stdio: "inherit" });
  });
}
