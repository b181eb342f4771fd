/**
 * Where credentials for registries come from, in this order: the pull secrets of the task, the node's docker configuration, and credential
 * provider plugins. They are handed to the runtime and nobody else: not to the log, Events, statuses or the record.
 */
import type { NodeImagePullSecret } from "../../../api/nodeimage.ts";
import type { Secret } from "../../../kube/types.ts";
import { addSecret } from "./docker-config.ts";
import { type Credential, Keyring } from "./keyring.ts";
import type { NodeFiles } from "./node-files.ts";
import type { Plugins } from "./plugins.ts";
import type { FetchedSecrets } from "./secrets.ts";

export type { Credential } from "./keyring.ts";

/** `away`: it cannot be known now, and trying without would be wrong. */
export type FoundCredentials =
  | { readonly ok: true; readonly credentials: readonly Credential[] }
  | { readonly ok: false; readonly away: boolean; readonly message: string };

export interface CredentialSources {
  readonly secrets: { fetch(refs: readonly NodeImagePullSecret[]): Promise<FetchedSecrets> };
  readonly files: Pick<NodeFiles, "keyring">;
  readonly plugins: Pick<Plugins, "lookup">;
}

export class Credentials {
  readonly #sources: CredentialSources;

  constructor(sources: CredentialSources) {
    this.#sources = sources;
  }

  /** @param repository with its registry. @returns each once, in the order in which they are to be tried */
  async lookup(repository: string, refs: readonly NodeImagePullSecret[]): Promise<FoundCredentials> {
    const { secrets, files, plugins } = this.#sources;
    const fetched = await secrets.fetch(refs);
    if (!fetched.ok) return fetched;
    const keyring = keyringOf(fetched.secrets);
    if (typeof keyring === "string") return { ok: false, away: false, message: keyring };
    const found = [...keyring.lookup(repository), ...files.keyring().lookup(repository), ...(await plugins.lookup(repository))];
    const credentials = found.filter(
      ({ username, password }, index) => found.findIndex((each) => each.username === username && each.password === password) === index,
    );
    return { ok: true, credentials };
  }
}

function keyringOf(secrets: readonly Readonly<Secret>[]): Keyring | string {
  const keyring = new Keyring();
  for (const secret of secrets) {
    const problem = addSecret(keyring, secret);
    if (problem !== undefined) return problem;
  }
  return keyring;
}
