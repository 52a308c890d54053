// Workers of browsers and of Node, with one interface. A worker is started from its source, because a page that is a
// file has no other files. In Chromium, the worker of such a page cannot load a Blob of the page, so it makes its own.

import { TextgenError } from "./errors.js";

/** A worker, or the program that started this one. Messages wait until they are taken. */
export class Port {
  /** @type {any[]} */
  #messages = [];
  /** @type {TextgenError | null} */
  #failure = null;
  /** Who waits for the next message. @type {{ resolve: (message: any) => void, reject: (error: Error) => void } | null} */
  #waiting = null;

  /** @param {any} end a Worker, a MessagePort, or the scope of a worker */
  constructor(end) {
    this.end = end;
    const receive = (/** @type {any} */ message) => {
      if (!this.#waiting) return void this.#messages.push(message);
      this.#waiting.resolve(message);
      this.#waiting = null;
    };
    const fail = (/** @type {any} */ error) => {
      this.#failure = new TextgenError("FAILED", error?.message || "a worker has ended");
      this.#waiting?.reject(this.#failure);
    };
    if (end.on) {
      end.on("message", receive);
      end.on("error", fail);
      end.on("exit", fail);
    } else {
      end.onmessage = (/** @type {MessageEvent} */ event) => receive(event.data);
      end.onerror = end.onmessageerror = fail;
    }
  }

  /** @param {any} message @param {any[]} [moved] buffers that are moved instead of copied */
  post(message, moved = []) {
    this.end.postMessage(message, moved);
  }

  /** Return the next message, or fail if the worker has failed. @returns {Promise<any>} */
  next() {
    if (this.#messages.length) return Promise.resolve(this.#messages.shift());
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => (this.#waiting = { resolve, reject }));
  }

  /** Return a message that has come already, or undefined. */
  poll() {
    return this.#messages.shift();
  }

  /** End a worker, and those that it has started. */
  close() {
    this.end.terminate();
  }
}

/**
 * Start a worker.
 *
 * @param {string} source
 * @param {any} threads the module of Node, or null
 */
export function startWorker(source, threads) {
  if (threads) {
    const started = `globalThis.threads = require("node:worker_threads");\n${source}`;
    return new Port(new threads.Worker(started, { eval: true }));
  }
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const worker = new Worker(url);
  URL.revokeObjectURL(url);
  return new Port(worker);
}
