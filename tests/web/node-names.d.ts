// The names of Node that the package uses where they exist.
declare const process: { versions?: { node?: string } } | undefined;
declare function setImmediate(callback: (value: unknown) => void): void;
