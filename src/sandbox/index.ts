/**
 * A cluster in the process: what `kruise sandbox` shows behind a port, and what the simulator runs the real controllers against.
 *
 * - `storage/`, `api/`, `admission/`, `kinds/`, `schema/`, `fields/`: the API server, as pure request handling.
 * - `controllers/`, `kubelet/`: what moves the objects.
 * - `sandbox.ts`: both put together over an `Env`.
 */
export type { Write } from "./api/api.ts";
export type { ApiAnswer, ApiRequest } from "./api/handle.ts";
export { createSandbox, type Sandbox, type SandboxOptions } from "./sandbox.ts";
