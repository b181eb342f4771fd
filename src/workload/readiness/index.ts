/**
 * Pod conditions that decide whether traffic reaches a pod. `addKeyStep`/`removeKeysStep` hold a pod out of service through
 * KruisePodReady under one's own key; `withReady` turns `Ready` at once when a readiness gate turned False.
 */
export { goodCondition, withReady } from "./conditions.ts";
export {
  addKeyStep,
  holdsKey,
  keysText,
  type NotReadyKey,
  needsKey,
  preDeleteKey,
  preUpdateKey,
  readKeys,
  recreateKey,
  removeKeysStep,
} from "./keys.ts";
