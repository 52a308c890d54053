/** Milliseconds for which a stream may occupy the thread. */
export const SLICE = 8;

/**
 * Return an object whose `next()` resolves after other events of the thread were handled. A timer would wait for
 * milliseconds, and a promise alone would not let other events run.
 */
export function eventLoop() {
  if (typeof setImmediate === "function") {
    return { next: () => new Promise((resolve) => setImmediate(resolve)), close() {} };
  }
  const { port1, port2 } = new MessageChannel();
  return {
    next: () =>
      new Promise((resolve) => {
        port1.onmessage = resolve;
        port2.postMessage(null);
      }),
    close: () => port1.close(),
  };
}
