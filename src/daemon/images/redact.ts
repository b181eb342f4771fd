/** What a runtime says of a failed pull, fit to be shown: its own words, without anything that opens a door. */
import type { Credential } from "./credentials/index.ts";

const messageLengthMax = 1024; // characters; a status is read by people
const secretLengthMin = 4; // characters; masking every "a" would leave no message

/** User, password and query of addresses go (signed download addresses carry their key in the query), and every credential that was used. */
export function redacted(message: string, credentials: readonly Credential[] = []): string {
  let text = message
    .replace(/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/@"']+@/gi, "$1")
    .replace(/(\b[a-z][a-z0-9+.-]*:\/\/[^\s?"']*)\?[^\s"']*/gi, "$1?…")
    .replace(/\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi, "$1 …");
  for (const { username, password } of credentials) {
    for (const secret of [password, Buffer.from(`${username}:${password}`).toString("base64")]) {
      if (secret.length < secretLengthMin) continue;
      for (const form of new Set([secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)]))
        text = text.replaceAll(form, "…");
    }
  }
  return text.length > messageLengthMax ? `${text.slice(0, messageLengthMax - 1)}…` : text;
}
