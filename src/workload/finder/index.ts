/**
 * From a reference to the workload behind it, whatever its kind, and from a workload to its pods. For budgets and sidecars, which work for
 * any workload.
 *
 * `findWorkload(finder, reference)` → the workload with its scale and selector, or none; a ReplicaSet of a Deployment answers as
 * that Deployment. `workloadOf(finder, pod)`, `expectedScale(finder, pods)` and `podsOf(finder, reference)` build on it. Kinds in `watched` are
 * read from the cache (their readers declare `finderReads`), all others live. What the server cannot say is a Failure, never a guess.
 */
export { type Finder, type Found, finderReads, type Workload, type WorkloadReference } from "./finder.ts";
export { expectedScale, type PodsFound, podsOf, workloadOf } from "./pods.ts";
export { reservedOrdinals } from "./reserved.ts";
export { findWorkload } from "./workload.ts";
