// The package as npm packs and installs it, in an empty project.

import { execFile, execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

const MODELS = { "nietzsche.onnx": "runtime/textgen_runtime/bundled_models", "tiny_int8.onnx": "tests/data" };

const NPM = ["install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"];

/** A new folder with a project that has installed the packed package, and is deleted at the end. */
export class Project {
  folder = mkdtempSync(join(tmpdir(), "textgen-npm-"));

  /** @param {string[]} packages Packages of the registry that the project also installs. */
  constructor(...packages) {
    const packing = ["pack", "--json", "--pack-destination", this.folder];
    const [{ filename }] = JSON.parse(execFileSync("npm", packing, { cwd: "runtime/web", encoding: "utf-8" }));
    this.write({ "package.json": '{ "private": true, "type": "module" }' });
    // Without other packages, nothing is downloaded.
    const offline = packages.length === 0 ? ["--offline"] : [];
    execFileSync("npm", [...NPM, ...offline, `./${filename}`, ...packages], { cwd: this.folder, stdio: "pipe" });
  }

  /** The folder of an installed package. */
  folderOf(name) {
    return join(this.folder, "node_modules", name);
  }

  versionOf(name) {
    return JSON.parse(readFileSync(join(this.folderOf(name), "package.json"), "utf-8")).version;
  }

  /** Write files, by their names. */
  write(files) {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.folder, name)), { recursive: true });
      writeFileSync(join(this.folder, name), text);
    }
  }

  /** Copy a model of the repository. */
  copyModel(model, name) {
    cpSync(join(MODELS[model], model), join(this.folder, name));
  }

  /** Run a command in the folder, and return what it prints. */
  async run(command, ...words) {
    const options = { cwd: this.folder, env: environment(this.folder) };
    try {
      return (await promisify(execFile)(command, words, options)).stdout;
    } catch (error) {
      // Compilers write their messages to standard output.
      throw new Error(`${error.message}\n${error.stdout}`, { cause: error });
    }
  }

  delete() {
    rmSync(this.folder, { recursive: true });
  }
}

/** The commands of the project come first. */
const environment = (folder) => ({
  ...process.env,
  PATH: `${join(folder, "node_modules/.bin")}:${process.env.PATH}`,
});

/** The browser of the tests. */
export const BROWSER = { executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] };
