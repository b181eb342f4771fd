/**
 * Prometheus' metrics and its text format, as much as a process needs of them. Counting happens with every request and every key that is
 * worked on, so a count is a look-up and an addition; words are made when somebody reads.
 */

export type Labels = Readonly<Record<string, string>>;

export interface Described {
  readonly name: string;
  readonly help: string;
  /** Names of the labels; shown in the order of the alphabet, as people search for them. */
  readonly labels?: readonly string[];
}

/** One number of a family. */
export class Sample {
  value = 0;

  add(by = 1): void {
    this.value += by;
  }
}

export class HistogramSample {
  readonly counts: Float64Array;
  sum = 0;

  constructor(readonly bounds: readonly number[]) {
    // The last one counts what is beyond all bounds.
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    let index = 0;
    while (index < this.bounds.length && value > (this.bounds[index] as number)) index += 1;
    this.counts[index] = (this.counts[index] as number) + 1;
    this.sum += value;
  }
}

/** Numbers of one process, over all families: a label with endless values must not eat the memory. */
interface Room {
  left: number;
}
const samplesMaxDefault = 20_000;

/** All numbers of one name, one for each combination of label values. */
export class Family<T> {
  readonly #names: readonly string[];
  readonly #make: () => T;
  readonly #room: Room;
  readonly #samples = new Map<string, { readonly values: readonly string[]; readonly sample: T }>();
  /** Counts, shown nowhere, for whom there was no room. */
  #lost: T | undefined;

  constructor(names: readonly string[], room: Room, make: () => T) {
    this.#names = [...names].sort();
    this.#make = make;
    this.#room = room;
    // Without labels there is one number, and it is there from the beginning.
    if (names.length === 0) this.of({});
  }

  /** A label that is not given is empty. */
  of(labels: Labels): T {
    const names = this.#names;
    let id = "";
    for (let index = 0; index < names.length; index += 1) id += `${labels[names[index] as string] ?? ""}\u0000`;
    let known = this.#samples.get(id);
    if (known === undefined) {
      if (this.#room.left <= 0) {
        this.#lost ??= this.#make();
        return this.#lost;
      }
      this.#room.left -= 1;
      known = { values: names.map((name) => labels[name] ?? ""), sample: this.#make() };
      this.#samples.set(id, known);
    }
    return known.sample;
  }

  *each(): Generator<{ readonly labels: string; readonly sample: T }, void> {
    for (const { values, sample } of this.#samples.values()) {
      yield { labels: values.map((value, index) => `${this.#names[index]}="${escaped(value, true)}"`).join(","), sample };
    }
  }
}

interface Registered {
  readonly described: Described;
  readonly type: "counter" | "gauge" | "histogram";
  readonly lines: () => Generator<string, void>;
}

export class Registry {
  readonly contentType = "text/plain; version=0.0.4; charset=utf-8";
  readonly #registered: Registered[] = [];
  readonly #collectors: (() => void)[] = [];
  readonly #room: Room;

  /** @param samplesMax what comes beyond is counted nowhere */
  constructor(samplesMax: number = samplesMaxDefault) {
    this.#room = { left: samplesMax };
  }

  counter(described: Described): Family<Sample> {
    return this.#numbers(described, "counter");
  }

  gauge(described: Described): Family<Sample> {
    return this.#numbers(described, "gauge");
  }

  histogram(described: Described & { readonly buckets: readonly number[] }): Family<HistogramSample> {
    const { name, labels = [], buckets } = described;
    const family = new Family(labels, this.#room, () => new HistogramSample(buckets));
    this.#registered.push({
      described,
      type: "histogram",
      *lines() {
        for (const { labels, sample } of family.each()) {
          const more = labels === "" ? "" : `${labels},`;
          const braced = labels === "" ? "" : `{${labels}}`;
          let count = 0;
          for (let index = 0; index <= buckets.length; index += 1) {
            count += sample.counts[index] as number;
            yield `${name}_bucket{${more}le="${numberText(buckets[index] ?? Number.POSITIVE_INFINITY)}"} ${count}`;
          }
          yield `${name}_sum${braced} ${numberText(sample.sum)}`;
          yield `${name}_count${braced} ${count}`;
        }
      },
    });
    return family;
  }

  /** Runs before the numbers are read. */
  onCollect(collect: () => void): () => void {
    this.#collectors.push(collect);
    return () => {
      const index = this.#collectors.indexOf(collect);
      if (index >= 0) this.#collectors.splice(index, 1);
    };
  }

  /** Version 0.0.4 of the text format. */
  text(): string {
    for (const collect of [...this.#collectors]) collect();
    const lines: string[] = [];
    for (const { described, type, lines: numbers } of this.#registered) {
      lines.push(`# HELP ${described.name} ${escaped(described.help, false)}`, `# TYPE ${described.name} ${type}`, ...numbers(), "");
    }
    return `${lines.join("\n")}\n`;
  }

  #numbers(described: Described, type: "counter" | "gauge"): Family<Sample> {
    const { name, labels = [] } = described;
    const family = new Family(labels, this.#room, () => new Sample());
    this.#registered.push({
      described,
      type,
      *lines() {
        for (const { labels, sample } of family.each()) yield `${name}${labels === "" ? "" : `{${labels}}`} ${numberText(sample.value)}`;
      },
    });
    return family;
  }
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  return value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value);
}

function escaped(text: string, isLabel: boolean): string {
  const escapedText = text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
  return isLabel ? escapedText.replaceAll('"', '\\"') : escapedText;
}
