/**
 * What a process counts, for prom-client to print. Counting happens with every request and every key that is worked on, so a count is a
 * look-up and an addition in a bounded room; the library, and the words, come when somebody reads (docs/decisions/004).
 */
import type { Metric, MetricObject, MetricValue, Registry as Printer } from "prom-client";

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

  *each(): Generator<{ readonly labels: Record<string, string>; readonly sample: T }, void> {
    for (const { values, sample } of this.#samples.values()) {
      yield { labels: Object.fromEntries(values.map((value, index) => [this.#names[index] as string, value])), sample };
    }
  }
}

type Numbers = () => Generator<MetricValue<string>, void>;

export class Registry {
  readonly contentType = "text/plain; version=0.0.4; charset=utf-8";
  readonly #registered: Metric[] = [];
  #printer: Promise<Printer> | undefined;
  #printed = 0;
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
    this.#register(described, "histogram", function* () {
      for (const { labels, sample } of family.each()) {
        let count = 0;
        for (let index = 0; index <= buckets.length; index += 1) {
          count += sample.counts[index] as number;
          yield { metricName: `${name}_bucket`, labels: { ...labels, le: buckets[index] ?? "+Inf" }, value: count };
        }
        yield { metricName: `${name}_sum`, labels, value: sample.sum };
        yield { metricName: `${name}_count`, labels, value: count };
      }
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
  async text(): Promise<string> {
    for (const collect of [...this.#collectors]) collect();
    this.#printer ??= import("prom-client").then(({ Registry: Made }) => new Made());
    const printer = await this.#printer;
    while (this.#printed < this.#registered.length) {
      printer.registerMetric(this.#registered[this.#printed] as Metric);
      this.#printed += 1;
    }
    return printer.metrics();
  }

  #numbers(described: Described, type: "counter" | "gauge"): Family<Sample> {
    const family = new Family(described.labels ?? [], this.#room, () => new Sample());
    this.#register(described, type, function* () {
      for (const { labels, sample } of family.each()) yield { labels, value: sample.value };
    });
    return family;
  }

  /** As the library's own metrics look to its printer. */
  #register({ name, help }: Described, type: "counter" | "gauge" | "histogram", numbers: Numbers): void {
    const get = async () => ({ name, help, type, aggregator: "sum", values: [...numbers()] }) as unknown as MetricObject;
    this.#registered.push({ name, get } as unknown as Metric);
  }
}
