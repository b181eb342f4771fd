/** Addresses as Go programs take them: ":8080", "127.0.0.1:8080", "[::1]:8080", "localhost:8080"; "0" and "" switch a listener off. */
export interface Address {
  /** Undefined: all interfaces, both families. */
  readonly host: string | undefined;
  readonly port: number;
}

/** @returns the address, `undefined` when the listener is switched off, or an error text */
export function parseAddress(text: string): Address | undefined | string {
  if (text === "" || text === "0") return undefined;
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) return `"${text}" is not an address: expected host:port, :port, or 0 to switch it off`;
  return { host: match[1] ?? (match[2] === "" ? undefined : match[2]), port };
}
