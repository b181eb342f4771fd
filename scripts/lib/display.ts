/** Text that changes: redrawn in place on a terminal, printed again where it is not one. */
interface Output {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

export class Display {
  #shown = "";
  #lines = 0;

  constructor(private readonly output: Output) {}

  show(text: string): void {
    if (text === this.#shown) return;
    this.#shown = text;
    if (this.output.isTTY !== true) {
      this.output.write(`\n${text}\n`);
      return;
    }
    // Up to where it began, and each line cleared to its end before it is written anew.
    const up = this.#lines === 0 ? "\n" : `\x1b[${this.#lines}A`;
    const lines = text.split("\n");
    this.output.write(`${up}${lines.map((line) => `\x1b[2K${line}\n`).join("")}\x1b[0J`);
    this.#lines = lines.length;
  }

  end(): void {
    this.#lines = 0;
    this.#shown = "";
  }
}
