/** Settings for tests: upstream's defaults, with what a test wants otherwise. */
import { gatesWith } from "../../api/gates.ts";
import type { Settings } from "../../api/settings.ts";

export function testSettings(overrides: Partial<Settings> = {}): Settings {
  return {
    gates: gatesWith(),
    installNamespace: "kruise-system",
    daemonConfigNamespace: "kruise-daemon-config",
    expectationTimeoutMs: 300_000,
    allowPrivileged: true,
    cloneSetExcludePreparingDelete: false,
    alwaysPullTtlSeconds: 300,
    nodeImageCreationDelayMs: 30_000,
    resizeSubresource: true,
    serves: () => true,
    ...overrides,
  };
}
