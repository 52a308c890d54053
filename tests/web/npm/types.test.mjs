// The compiler and checkers of the registry find the types of the installed package.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Project } from "../packed.mjs";

/** Return a project that has installed a package, whose version is noted. */
function projectWith(context, name, ...others) {
  const project = new Project(`${name}@latest`, ...others);
  context.after(() => project.delete());
  context.diagnostic(`${name} ${project.versionOf(name)}`);
  return project;
}

test("a program for Node compiles with the types of Node, without those of a browser", async (context) => {
  const project = projectWith(context, "typescript", "@types/node@latest");
  project.write({ "program.ts": readFileSync("tests/web/package-types.ts", "utf-8") });
  for (const [module, resolution] of [["node16", "node16"], ["nodenext", "nodenext"], ["preserve", "bundler"]]) {
    const words = `--strict --noEmit --target es2022 --lib es2022 --types node --module ${module} --moduleResolution ${resolution}`;
    await project.run("tsc", "program.ts", ...words.split(" "));
  }
});

test("attw finds the types of each entry point from ES modules and bundlers", async (context) => {
  const project = projectWith(context, "@arethetypeswrong/cli");
  await project.run("sh", "-c", "attw --profile esm-only --exclude-entrypoints textgen.wasm textgen-relaxed.wasm -- *.tgz");
});

test("publint finds nothing to improve", async (context) => {
  const project = projectWith(context, "publint");
  assert.match(await project.run("sh", "-c", "publint --strict *.tgz"), /All good!/);
});
