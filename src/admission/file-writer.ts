/**
 * The six certificate files of a directory, switched all at once: the names are symbolic links into `..data`, itself a link to a
 * directory of one generation, as kubelet does for mounted Secrets.
 */
import { lstat, mkdir, readFile, readlink, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Certificates, type Expectation, type FileName, fileNames, fromFiles, toFiles, unfit } from "./certificates.ts";
import { type Issue, keptAuthority, type Obtained } from "./secret-writer.ts";

const dataLink = "..data";

/** Writes nothing when the files hold this already. @returns whether something was written; rejects when the directory cannot be written */
export async function writeCertificateFiles(directory: string, certificates: Certificates, generation: string): Promise<boolean> {
  const files = toFiles(certificates);
  if (await holds(directory, files)) return false;
  await mkdir(directory, { recursive: true });
  const previous = await readlink(join(directory, dataLink)).catch(() => undefined);
  const fresh = `..${generation}`;
  await mkdir(join(directory, fresh), { mode: 0o700 });
  await Promise.all(fileNames.map((name) => writeFile(join(directory, fresh, name), files[name], { mode: 0o600, flush: true })));
  await link(directory, fresh, dataLink, generation);
  for (const name of fileNames) await link(directory, join(dataLink, name), name, generation);
  if (previous !== undefined && previous !== fresh && /^\.\.[^/]+$/.test(previous)) {
    await rm(join(directory, previous), { recursive: true, force: true });
  }
  return true;
}

/** Puts a link where anything but this link is. A rename replaces a file, old link or nothing in one step. */
async function link(directory: string, target: string, name: string, generation: string): Promise<void> {
  const path = join(directory, name);
  if ((await readlink(path).catch(() => undefined)) === target) return;
  // What no rename can replace: a directory of that name.
  if ((await lstat(path).catch(() => undefined))?.isDirectory()) await rm(path, { recursive: true });
  const temporary = join(directory, `..new-${generation}`);
  await rm(temporary, { force: true });
  await symlink(target, temporary);
  await rename(temporary, path);
}

async function holds(directory: string, files: Readonly<Record<FileName, string>>): Promise<boolean> {
  const present = await readFiles(directory);
  return fileNames.every((name) => present[name] === files[name]);
}

async function readFiles(directory: string): Promise<Partial<Record<FileName, string>>> {
  const texts = await Promise.all(fileNames.map((name) => readFile(join(directory, name), "utf8").catch(() => undefined)));
  return Object.fromEntries(fileNames.map((name, index) => [name, texts[index]]));
}

/** Reads the directory's certificates, and makes new ones there when they are not (or no longer) good. */
export async function obtainFromFiles(directory: string, expected: Expectation, issue: Issue, generation: string): Promise<Obtained> {
  const files = await readFiles(directory);
  const present = fromFiles((name) => files[name]);
  const why = unfit(present, expected);
  if (why === undefined) return { ok: true, certificates: present };
  const certificates = await issue(expected.host, expected.nowMs, keptAuthority(present, expected));
  try {
    await writeCertificateFiles(directory, certificates, generation);
  } catch (error) {
    return { ok: false, message: `${directory}: ${(error as Error).message}; set WEBHOOK_CERT_DIR to a directory that can be written` };
  }
  const previousCa = present.caCertificate === certificates.caCertificate ? undefined : present.caCertificate || undefined;
  return { ok: true, certificates, previousCa, renewed: why };
}
