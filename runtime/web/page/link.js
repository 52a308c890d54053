// The part of the address after "#": everything that determines a text.

export const MAX_SEED = 2 ** 32 - 1;
export const MAX_TEMPERATURE = 2;
/** The most tokens of a text, so that its link always opens. */
export const MAX_LENGTH = 100_000;
const [WHOLE, DECIMAL] = [/^\d{1,10}$/, /^\d+(\.\d+)?$/];

/**
 * Return the address part of a text.
 *
 * A branch is `at_temperature_choice`. Without a choice, only the temperature changes. The end of a record is
 * `at_temperature` alone.
 */
export function toLink({ prompt, seed, temperature, length, branches }) {
  const fields = new URLSearchParams({ prompt, seed, temperature, length });
  for (const { at, temperature: branchTemperature, choice } of branches) {
    fields.append("branch", [at, branchTemperature, ...(choice === null ? [] : [choice])].join("_"));
  }
  return `#${fields}`;
}

/** Return the description of a text in an address part, or null if it has none. */
export function fromLink(hash) {
  const fields = new URLSearchParams(hash.replace(/^#/, ""));
  if (!fields.has("seed")) return null;
  return {
    prompt: fields.get("prompt") ?? "",
    seed: numberIn(fields.get("seed"), MAX_SEED, "seed"),
    temperature: numberIn(fields.get("temperature") ?? "0.5", MAX_TEMPERATURE, "temperature", DECIMAL),
    length: numberIn(fields.get("length") ?? "0", MAX_LENGTH, "length"),
    branches: fields.getAll("branch").map(branchIn),
  };
}

/** Return a random seed. */
export const freshSeed = () => crypto.getRandomValues(new Uint32Array(1))[0];

function branchIn(field) {
  const [at, temperature, ...rest] = field.split("_");
  return {
    at: numberIn(at, MAX_LENGTH * 64, "branch"),
    temperature: numberIn(temperature, MAX_TEMPERATURE, "temperature", DECIMAL),
    choice: rest.length ? rest.join("_") : null,
  };
}

/** Return the number of a text, such as one that a person typed. */
export function numberIn(text, maximum, name, form = WHOLE) {
  const value = form.test(text) ? Number(text) : NaN;
  if (!(value <= maximum)) throw new Error(`The ${name} must be a number from 0 to ${maximum}.`);
  return value;
}
