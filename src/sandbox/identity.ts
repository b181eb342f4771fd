/** The sandbox's authority and its one certificate: for the API server's port, and for the manager's webhooks beside it. */
import type { Certificates } from "../admission/certificates.ts";
import { issueIdentity as issue } from "../admission/issue.ts";

/** @param hosts addresses and DNS names that the certificate is for */
export async function issueIdentity(hosts: readonly string[], nowMs: number): Promise<Certificates> {
  return issue("kruise-sandbox", "kruise-sandbox-ca", hosts, nowMs);
}
